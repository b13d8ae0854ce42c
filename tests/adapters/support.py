"""A spool on disk whose files have the age a test wants, and records with a twist."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vcon_platform.adapters.base import Capture, Problem
from vcon_platform.adapters.freeswitch import FreeSwitchAdapter
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings
from vcon_platform.demo.call_records import CallRecord

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
START = datetime(2026, 11, 2, 9, 15, 7, 412_000, tzinfo=UTC)
A_UUID = "6f1f3a52-0c5e-4f6e-9f5b-1b2c3d4e5f60"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00"
STEREO = WAV[:22] + b"\x02" + WAV[23:]


def call(**changes: Any) -> CallRecord:
    """An answered, recorded, inbound call of two legs."""
    values: dict[str, Any] = {
        "uuid": A_UUID,
        "start": START,
        "customer_tel": "+13125550142",
        "customer_name": "Robert Keller",
        "agent_extension": "1001",
        "agent_name": "Dana Whitfield",
        "ring": timedelta(seconds=4),
        "talk": timedelta(seconds=20),
        "recording": "2026-11-02/call.wav",
        "record_ms": 19_500,
    }
    return CallRecord(**(values | changes))


def unanswered(cause: str = "NO_ANSWER", **changes: Any) -> CallRecord:
    """A call nobody picked up."""
    return call(**({"talk": None, "recording": None, "record_ms": 0, "hangup_cause": cause} | changes))


def edited(
    record: bytes, *, drop: tuple[str, ...] = (), members: dict[str, Any] | None = None, **variables: Any
) -> bytes:
    """A record with other variables or members."""
    document = json.loads(record)
    document["variables"] |= {name: quote(value) for name, value in variables.items()}
    for name in drop:
        document["variables"].pop(name, None)
    return json.dumps(document | (members or {})).encode()


@dataclass
class Spool:
    """Folders of a switch, an adapter that reads them, and what the platform remembers."""

    root: Path
    options: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.records, self.recordings):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def records(self) -> Path:
        return self.root / "cdr"

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def adapter(self) -> FreeSwitchAdapter:
        folders = {"records": self.records, "recordings": self.recordings, "archive": self.archive}
        return FreeSwitchAdapter(
            FreeSwitchSettings.model_validate({"adapter": "freeswitch", "name": "pbx", **folders, **self.options})
        )

    def put(self, path: Path, data: bytes, age: float = 10.0) -> Path:
        """A file that was last written so many seconds before NOW."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        moment = (NOW - timedelta(seconds=age)).timestamp()
        os.utime(path, (moment, moment))
        return path

    def add(self, record: CallRecord, *, legs: str = "ab", age: float = 10.0, audio: bytes | None = WAV) -> None:
        """A call's records, and with the A leg's its recording, which was finished ten seconds ago."""
        for name, data in record.files.items():
            if ("a" if name.startswith("a_") else "b") in legs:
                self.put(self.records / name, data, age)
        if record.recording and audio is not None and "a" in legs:
            self.put(self.recordings / record.recording, audio)

    def look(self, later: float = 0.0) -> Iterator[Capture | Problem]:
        return self.adapter.discover(self.seen, NOW + timedelta(seconds=later))

    def take(self, later: float = 0.0) -> list[Capture | Problem]:
        """Everything that is new, remembered as the intake does."""
        found = list(self.look(later))
        for item in found:
            if isinstance(item, Capture):
                self.seen.update(item.claims)
            else:
                self.seen[item.key] = item.fingerprint
        return found

    def captures(self, later: float = 0.0) -> list[Capture]:
        """Everything that is new, which must all be readable."""
        found = self.take(later)
        assert not [item for item in found if isinstance(item, Problem)]
        return [item for item in found if isinstance(item, Capture)]

    def one(self, later: float = 0.0) -> Capture:
        """The only new call."""
        [capture] = self.captures(later)
        return capture

"""The sample calls: eight that the demo and the end-to-end tests live on, and as many as wanted for an archive.

Belongs here: who called whom when, which audio was recorded, which words are in it, what the recall pipeline must make
of it; writing them as a switch would. Not here: the shape of a call record (``call_records.py``).

Everything is made from the table below: same uuids, same times, same bytes every time. ``data/README.md`` says where
the audio comes from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

from vcon_platform.demo.call_records import CallRecord
from vcon_platform.vcon.uuids import derived_uuid

Verdict = Literal["recall", "filtered", "failed"]

_AUDIO_MS = {
    "toaster.mp3": 17_928,
    "heater.wav": 15_345,
    "monitor.wav": 14_701,
    "parcel.wav": 13_689,
    "tickets.mp3": 15_024,
    "chewables.mp3": 14_616,
    "kettle.wav": 13_085,
    "kettle_broken.wav": 13_085,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample call.

    ``uuid`` is the A leg's, ``verdict`` what the pipeline *recall* must make of the call, ``words`` are heard in it
    (lower case), ``repaired`` is the audio that :func:`repair` puts in place of a broken one, after which the verdict
    is ``repaired_verdict``. ``customer_tel`` is E.164; ``customer_name`` is empty where the switch cannot know it, as
    for somebody who is called.
    """

    name: str
    start: datetime
    verdict: Verdict
    customer_name: str
    customer_tel: str
    agent_name: str
    agent_extension: str
    audio: str | None
    words: tuple[str, ...] = ()
    outbound: bool = False
    hangup_cause: str = "NORMAL_CLEARING"
    repaired: str | None = None
    repaired_verdict: Verdict | None = None
    ring: timedelta = field(default=timedelta(seconds=4, milliseconds=180))

    @property
    def uuid(self) -> str:
        """The A leg's uuid, as the switch would have given it."""
        return str(uuid5(NAMESPACE_OID, f"northwind {self.name}"))

    def vcon_uuid(self, source: str = "freeswitch") -> str:
        """The uuid of the vCon that the adapter of this name makes of the call."""
        return derived_uuid(self.start, "freeswitch", source, self.uuid)

    @property
    def recording(self) -> str | None:
        """The recording's path below the recordings folder; None for a call without one."""
        if self.audio is None:
            return None
        suffix = self.audio.rpartition(".")[2]
        return f"{self.start:%Y-%m-%d}/{self.start:%H-%M-%S}_{self.customer_tel}_{self.agent_extension}.{suffix}"

    @property
    def record(self) -> CallRecord:
        """The call as the switch recorded it."""
        length = _AUDIO_MS[self.audio] if self.audio else 0
        return CallRecord(
            uuid=self.uuid,
            start=self.start,
            customer_tel=self.customer_tel,
            customer_name=self.customer_name,
            agent_extension=self.agent_extension,
            agent_name=self.agent_name,
            ring=self.ring,
            talk=timedelta(milliseconds=length) if self.audio else None,
            outbound=self.outbound,
            recording=self.recording,
            record_ms=length,
            stereo=self.audio == "heater.wav",
            hangup_cause=self.hangup_cause,
        )


_DANA, _MARCUS = ("Dana Whitfield", "1001"), ("Marcus Ito", "1002")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _sample(
    name: str,
    start: str,
    verdict: Verdict,
    customer: tuple[str, str],
    agent: tuple[str, str],
    audio: str | None,
    words: str = "",
    *,
    outbound: bool = False,
    hangup_cause: str = "NORMAL_CLEARING",
    repaired: str | None = None,
) -> Sample:
    return Sample(
        name=name,
        start=_at(start),
        verdict=verdict,
        customer_name=customer[0],
        customer_tel=customer[1],
        agent_name=agent[0],
        agent_extension=agent[1],
        audio=audio,
        words=tuple(words.split()),
        outbound=outbound,
        hangup_cause=hangup_cause,
        repaired=repaired,
        repaired_verdict="recall" if repaired else None,
        ring=timedelta(seconds=22) if audio is None else timedelta(seconds=4, milliseconds=180),
    )


SAMPLES: tuple[Sample, ...] = (
    _sample(
        "toaster", "2026-11-02T09:15:07.412340", "recall", ("Robert Keller", "+13125550142"), _DANA,
        "toaster.mp3", "letter toaster safe unplug recall silver models",
    ),
    _sample(
        "tickets", "2026-11-02T09:42:31.118020", "filtered", ("Frances Patterson", "+14155550199"),
        ("Charles Ward", "1003"), "tickets.mp3", "comedy club return last name please",
    ),
    _sample(
        "heater", "2026-11-02T11:03:55.730110", "recall", ("", "+16175550133"), _DANA,
        "heater.wav", "safety recall space heater driver friday money", outbound=True,
    ),
    _sample(
        "missed", "2026-11-02T13:20:18.904500", "filtered", ("Paula Reyes", "+13035550177"), _MARCUS,
        None, hangup_cause="NO_ANSWER",
    ),
    _sample(
        "monitor", "2026-11-02T15:47:40.056710", "recall", ("Lena Brandt", "+15035550126"), _MARCUS,
        "monitor.wav", "baby monitor bought recalled battery october label",
    ),
    _sample(
        "parcel", "2026-11-03T08:05:12.660900", "filtered", ("Amy Lindqvist", "+12065550188"), _MARCUS,
        "parcel.wav", "parcel yesterday sorry delay driver noon",
    ),
    _sample(
        "chewables", "2026-11-03T10:31:26.240080", "filtered", ("Joyce Mitchell", "+14045550151"),
        ("William Hayes", "1004"), "chewables.mp3", "veterinary clinic disappointed quality products",
    ),
    _sample(
        "kettle", "2026-11-03T14:12:49.385200", "failed", ("Victor Amsel", "+12025550114"), _DANA,
        "kettle_broken.wav", "kettle shop recall list refund receipt", repaired="kettle.wav",
    ),
)  # fmt: skip
"""In the order of their starts: three that speak of a recall, four that end at the filter (one of them unanswered),
one whose recording is broken."""


def audio_bytes(name: str) -> bytes:
    """An audio file of the samples."""
    return (files("vcon_platform.demo") / "data" / name).read_bytes()


def drop_into_spool(spool: Path, samples: Iterable[Sample] = SAMPLES) -> list[Path]:
    """Write the calls as a switch would: ``spool/recordings`` first, then ``spool/cdr``, each file whole at once.

    Gives every call's files. A file that is there with the right bytes keeps its modification time, and a repaired
    recording is not broken again: dropping twice changes nothing.
    """
    (spool / "recordings").mkdir(parents=True, exist_ok=True)
    (spool / "cdr").mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for sample in samples:
        if sample.audio and sample.recording:
            good = [audio_bytes(name) for name in (sample.audio, sample.repaired) if name]
            written.append(_put(spool / "recordings" / sample.recording, good[0], also_right=good))
        written += [_put(spool / "cdr" / name, data) for name, data in sample.record.files.items()]
    return written


def repair(spool: Path, sample: Sample) -> Path:
    """Put the good recording in the place of a broken one; gives its path."""
    if sample.repaired is None or sample.recording is None:
        raise ValueError(f"the recording of the sample {sample.name!r} is not broken")
    return _put(spool / "recordings" / sample.recording, audio_bytes(sample.repaired))


_CUSTOMERS = ("Nora Beck", "Omar Haddad", "Ines Castro", "Paul Novak", "Grace Lin", "Tom Whelan", "Ruth Okafor")
_AREAS = ("202", "312", "415", "617", "303", "503", "206", "404")
_PATTERN: tuple[tuple[str | None, str], ...] = (
    ("toaster.mp3", "NORMAL_CLEARING"),
    ("tickets.mp3", "NORMAL_CLEARING"),
    (None, "NO_ANSWER"),
    ("toaster.mp3", "NORMAL_CLEARING"),
    ("chewables.mp3", "NORMAL_CLEARING"),
    ("tickets.mp3", "NORMAL_CLEARING"),
    ("toaster.mp3", "NORMAL_CLEARING"),
    (None, "USER_BUSY"),
    ("chewables.mp3", "NORMAL_CLEARING"),
    (None, "ORIGINATOR_CANCEL"),
)
"""What an archive's calls are, in turn: three in ten speak of a recall, three were not answered. Only three clips are
used, so that a transcript that is kept makes hundreds of calls cheap."""


def archived_calls(day: date, calls: int) -> list[Sample]:
    """The calls of one day of an archive, spread over its working hours, earliest first."""
    begin = datetime.combine(day, time(8, 0), tzinfo=UTC)
    step = timedelta(hours=10) / max(calls, 1)
    found = []
    for index in range(calls):
        number = day.toordinal() * 31 + index
        audio, cause = _PATTERN[index % len(_PATTERN)]
        agent = (_DANA, _MARCUS)[number % 2]
        outbound = index % 4 == 3
        found.append(
            Sample(
                name=f"archive {day} {index}",
                start=begin + step * index + timedelta(milliseconds=number * 37 % 1000),
                verdict="recall" if audio == "toaster.mp3" else "filtered",
                customer_name="" if outbound else _CUSTOMERS[number % len(_CUSTOMERS)],
                customer_tel=f"+1{_AREAS[number % len(_AREAS)]}55501{number % 100:02}",
                agent_name=agent[0],
                agent_extension=agent[1],
                audio=audio,
                hangup_cause=cause,
                outbound=outbound,
                ring=timedelta(seconds=3 + number % 9),
            )
        )
    return found


def write_archive(archive: Path, days: Sequence[date], calls_per_day: int) -> int:
    """Write ``YYYY/MM/DD/{cdr,recordings}`` folders for the historical backfill; gives the number of calls. Writing
    the same again changes nothing."""
    clips = {audio: audio_bytes(audio) for audio, _ in _PATTERN if audio}
    for day in days:
        folder = archive / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}"
        for sample in archived_calls(day, calls_per_day):
            if sample.audio and sample.recording:
                _put(folder / "recordings" / Path(sample.recording).name, clips[sample.audio])
            for name, data in sample.record.files.items():
                _put(folder / "cdr" / name, data)
    return len(days) * calls_per_day


def _put(path: Path, data: bytes, also_right: Sequence[bytes] = ()) -> Path:
    """Write a file whole at once, unless it is right already."""
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    else:
        if present in (data, *also_right):
            return path
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(path)
    return path

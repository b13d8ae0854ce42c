"""A vCon of a recording that somebody has at hand.

Belongs here: the dialog of a recording, and the vCon around it. Not here: what the recording is (``probe.py``), calls
of a telephone system (``adapters/``).

The uuid follows from the recording and its start, and nothing in the vCon from the clock, so that making it twice makes
one vCon.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.dates import written
from vcon_platform.vcon.media import content_hash_of, encode_base64url
from vcon_platform.vcon.probe import Undecodable, probe
from vcon_platform.vcon.uuids import derived_uuid


class NoRecording(PlatformError):
    """What was given is no recording that can be read."""


def recording_dialog(
    content: bytes, start: datetime, *, filename: str | None = None, url: str | None = None
) -> dict[str, Any]:
    """The dialog of a recording without its parties. ``start``: timezone-aware. ``url``: where the recording is kept;
    then its hash stands in the dialog and not the recording. Raises :class:`NoRecording`."""
    try:
        found = probe(content)
    except Undecodable as error:
        raise NoRecording(f"this is no recording that can be read: {error}") from None
    dialog: dict[str, Any] = {
        "type": "recording",
        "start": written(start),
        "duration": found.duration,
        "mediatype": found.mediatype,
    }
    if filename is not None:
        dialog["filename"] = filename
    if url is not None:
        return {**dialog, "url": url, "content_hash": content_hash_of(content)}
    return {**dialog, "body": encode_base64url(content), "encoding": "base64url"}


def new_vcon(content: bytes, start: datetime) -> dict[str, Any]:
    """A vCon for this recording, still empty."""
    uuid = derived_uuid(start, "recording", content_hash_of(content))
    return {"vcon": "0.4.0", "uuid": uuid, "created_at": written(start), "parties": [], "dialog": []}


def add_recording(data: dict[str, Any], dialog: dict[str, Any], parties: Sequence[dict[str, Any]]) -> None:
    """Add the dialog to a vCon, and those of its ``parties`` (in the order of the channels) that it has not yet."""
    known: list[Any] = data.setdefault("parties", [])
    places = []
    for party in parties:
        if party not in known:
            known.append(party)
        places.append(known.index(party))
    data.setdefault("dialog", []).append({**dialog, "parties": places})

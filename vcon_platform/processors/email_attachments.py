"""What a mail brings along of its conversation: the vCon, recordings, texts of analyses.

Belongs here: choosing it when the mail is asked for, making files of it when the mail is sent. Not here: the mail
itself (``email_message.py``). Files have names of ours: a dialog's own may be somebody's, or a program's.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from vcon_platform.processors.base import MediaReader, PermanentError, ProcessorIO
from vcon_platform.processors.dialog_choice import chosen
from vcon_platform.processors.enclosed import body_of, exact, form_of, pack, pack_bytes, unpack, unpack_bytes, written
from vcon_platform.vcon.export import ExportVersion
from vcon_platform.vcon.media import sniff

AttachedVcon = Literal["", "with_recordings", "without_recordings"]

_KIND = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_SUFFIXES = {"audio/x-wav": ".wav", "audio/wav": ".wav", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/ogg": ".ogg"}
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a mail. ``kind``: its media type."""

    name: str
    kind: str
    content: bytes


def enclose(
    io: ProcessorIO,
    vcon: AttachedVcon,
    version: ExportVersion,
    dialogs: str | tuple[int, ...],
    analyses: tuple[str, ...],
) -> dict[str, Any] | None:
    """What goes along, as JSON without bodies that stand beside the document; None where nothing does."""
    document = io.vcon
    if vcon == "without_recordings" and form_of(io) == "encrypted":
        raise PermanentError(
            "/attach_vcon: the vCon is encrypted, and goes along as that or not at all; choose with_recordings"
        )
    raw = exact(io) if vcon == "with_recordings" else None
    found: dict[str, Any] = {
        "vcon": document.data if vcon and raw is None else None,
        "exact": [document.uuid, pack_bytes(raw)] if raw is not None else None,
        "dialogs": {
            str(index): document.dialog[index]
            for index in chosen(dialogs, len(document.dialog))
            if isinstance(document.dialog[index], dict)
            and not document.dialog[index].keys().isdisjoint(("body", "url"))
        },
        "analyses": {
            str(index): each
            for index, each in enumerate(document.analysis)
            if isinstance(each, dict) and isinstance(each.get("type"), str) and each["type"] in analyses
        },
    }
    if not any(found.values()):
        return None
    return {"packed": pack(found), "recordings": vcon == "with_recordings", "version": version}


def files(enclosed: Mapping[str, Any], media: MediaReader, most: int) -> list[File]:
    """What :func:`enclose` chose. Raises PermanentError where it has more than ``most`` bytes, and what reading a body
    raises."""
    made: list[File] = []
    left = most
    for file in _made(enclosed, media):
        left -= len(file.content)
        if left < 0:
            raise PermanentError(
                f"what the mail brings along has more than {most} bytes (option attach_max_bytes); nothing was sent"
            )
        made.append(file)
    return made


def _made(enclosed: Mapping[str, Any], media: MediaReader) -> Iterator[File]:
    found = unpack(enclosed["packed"])
    for index, entry in found["analyses"].items():
        yield _analysis(int(index), entry, media)
    for index, entry in found["dialogs"].items():
        yield _dialog(int(index), entry, media)
    if found["exact"]:
        uuid, packed = found["exact"]
        yield File(f"{_safe(uuid)}.vcon.json", "application/vcon", unpack_bytes(packed))
    if found["vcon"]:
        bodies: Literal["inline", "none"] = "inline" if enclosed["recordings"] else "none"
        content = written(found["vcon"], media, version=enclosed["version"], bodies=bodies)
        yield File(f"{_safe(found['vcon'].get('uuid'))}.vcon.json", "application/vcon", content)


def _analysis(index: int, entry: Mapping[str, Any], media: MediaReader) -> File:
    name, body = f"{_safe(entry['type'])}-{index}", entry.get("body")
    if body is None and "url" in entry:
        body = body_of(entry, media, f"/analysis/{index}").decode("utf-8", "replace")
    if isinstance(body, str):
        kind, suffix = ("application/json", "json") if entry.get("encoding") == "json" else ("text/plain", "txt")
        return File(f"{name}.{suffix}", kind, body.encode("utf-8", "replace"))
    return File(f"{name}.json", "application/json", orjson.dumps(body, option=orjson.OPT_INDENT_2))


def _dialog(index: int, entry: Mapping[str, Any], media: MediaReader) -> File:
    content = body_of(entry, media, f"/dialog/{index}")
    kind = sniff(content[:16]) or entry.get("mediatype")
    if entry.get("type") == "text" and not isinstance(kind, str):
        kind = "text/plain"
    kind = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else _BYTES
    if not _KIND.fullmatch(kind):
        kind = _BYTES
    return File(f"dialog-{index}{_SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or '.bin'}", kind, content)


def _safe(text: object) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(text)).strip("_")[:60] or "file"

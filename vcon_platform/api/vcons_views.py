"""What is known of one vCon besides its document: revisions, turns, bodies, lineage.

Belongs here: requests into calls of store, ledger and document. Not here: what the answers mean (those rooms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from vcon_platform.access.caller import Caller
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.paths import uuid_in
from vcon_platform.api.problems import Problem
from vcon_platform.api.reads import Reads
from vcon_platform.api.visibility import must_see
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.settings import Settings
from vcon_platform.store.documents import Missing
from vcon_platform.store.media import MediaError, MediaStore
from vcon_platform.store.opening import Store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import walk_lineage
from vcon_platform.vcon.media import BodyError
from vcon_platform.vcon.turns import turns

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_PIECE = 1 << 20
KIN = 100
"""vCons that a lineage names at most."""


class RevisionOut(BaseModel):
    """One revision."""

    revision: int
    at: str = Field(description="When it was made, RFC 3339.")
    posted: bool = Field(description="True: this content was posted; GET …/original?revision= has its bytes.")
    changes: int = Field(description="What was appended or replaced on top of the revision before.")


class TurnsOut(BaseModel):
    """What was said or written, in time order."""

    uuid: str
    revision: int
    turns: list[dict[str, Any]]


class KinOut(BaseModel):
    """A vCon that this one is linked with."""

    uuid: str
    role: str = Field(description="``original`` or ``copy`` of ``via``.")
    kind: str = Field(description="``amended``, ``redacted``…")
    via: str
    found: bool = Field(description="False: it is not here, or hidden from this key.")


class LineageOut(BaseModel):
    """What happened to a vCon, oldest first, and what it is linked with."""

    uuid: str
    events: list[dict[str, Any]]
    kin: list[KinOut]


Uuid = Annotated[str, Path(description="The vCon's uuid.")]


def router(settings: Settings, store: Callable[[], Store], gate: Gate, reads: Reads) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/vcons/{uuid}", tags=["vCons"])
    ledgers: list[Ledger] = []

    def seen(who: Caller, uuid: str) -> Vcon:
        documents = store().documents
        vcon = documents.read_one(uuid_in(uuid))
        must_see(who, documents, vcon.uuid, vcon)
        return vcon

    def ledger() -> Ledger:
        if not ledgers:
            ledgers.append(Ledger(settings.postgres_url()))
        return ledgers[0]

    @routes.get("/revisions", dependencies=gate("read"), summary="Its revisions, oldest first")
    def revisions(uuid: Uuid, who: WhoAsks) -> list[RevisionOut]:
        """Read from the archive."""
        vcon = seen(who, uuid)
        return [
            RevisionOut(
                revision=record.revision,
                at=record.at,
                posted=record.original is not None,
                changes=len(record.changes),
            )
            for record in store().documents.history(vcon.uuid).records
        ]

    @routes.get("/turns", dependencies=gate("read"), summary="Who said what, and when")
    def said(uuid: Uuid, who: WhoAsks) -> TurnsOut:
        """From messages and from the best transcript of each recording, whoever made it. ``start`` and ``end`` are
        seconds from the dialog's start; ``party`` is an index, null where nobody says who it was."""
        vcon = seen(who, uuid)
        reads.note(who, vcon.uuid, "turns")
        return TurnsOut(uuid=vcon.uuid, revision=vcon.revision, turns=[asdict(turn) for turn in turns(vcon)])

    @routes.get("/lineage", dependencies=gate("read"), summary="What happened to it, and its relatives")
    def lineage(uuid: Uuid, who: WhoAsks) -> LineageOut:
        """The ledger's events (uuids, names, hashes and counts; nothing that was said), and the vCons it was made from
        or that were made from it."""
        vcon, opened = seen(who, uuid), store()
        reads.flush()
        ship_all(opened.client, ledger())

        def read(other: str) -> dict[str, Any] | None:
            found = opened.documents.read([other]).get(other)
            if found is None:
                return None
            with suppress(Missing):
                must_see(who, opened.documents, other, found)
                return found.data
            return None

        events = [asdict(event) for event in ledger().events_of(vcon.uuid)]
        kin = [
            KinOut(uuid=each.link.uuid, role=each.link.role, kind=each.link.kind, via=each.via, found=each.found)
            for each in walk_lineage(vcon.uuid, read, limit=KIN)
        ]
        return LineageOut(uuid=vcon.uuid, events=events, kin=kin)

    @routes.get(
        "/media/{array}/{index}",
        dependencies=gate("read"),
        summary="The bytes of a body",
        response_class=StreamingResponse,
        responses={
            206: {"description": "The part that was asked for"},
            404: {"description": "No such vCon, element or body; or its body is outside and not kept here"},
            416: {"description": "The body has no such part"},
        },
    )
    def media(
        uuid: Uuid,
        array: Literal["dialog", "analysis", "attachments"],
        index: Annotated[int, Path(ge=0)],
        who: WhoAsks,
        asked: Annotated[str | None, Header(alias="Range", max_length=100)] = None,
    ) -> Response:
        """Decoded, streamed; one ``Range`` of bytes is answered 206, so that players can jump."""
        vcon = seen(who, uuid)
        elements = vcon.data.get(array) or []
        if index >= len(elements):
            raise Problem(404, "not_found", f"/{array} has {len(elements)} elements; {index} is none of them.")
        reads.note(who, vcon.uuid, "media")
        return _body(store().media, elements[index], asked)

    return routes


def _body(media: MediaStore, element: dict[str, Any], asked: str | None) -> Response:
    try:
        token, inline = media.kept(element)
        size = len(inline) if token is None else media.size(token)
    except (MediaError, BodyError) as error:
        raise Problem(404, "no_body", f"{error}.") from None
    headers = {
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "attachment",  # never a page of ours, whatever it says it is
        "Cache-Control": "no-store",
    }
    if token is not None:
        headers["ETag"] = f'"{token}"'
    part = _part(asked, size)
    if part is None:
        start, stop, status = 0, size, 200
    else:
        start, stop, status = *part, 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    if token is not None:
        pieces = media.open(token) if part is None else media.part(token, start, stop)
    else:
        pieces = _pieces(inline[start:stop])
    return StreamingResponse(pieces, status, headers, media_type=_type(element))


def _pieces(raw: bytes) -> Iterator[bytes]:
    for at in range(0, len(raw), _PIECE):
        yield raw[at : at + _PIECE]


def _part(asked: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last (RFC 9110 section 14). Several parts, or another unit: the whole."""
    found = _RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < int(found[1]):
            return None
    if start >= size or start >= stop:
        raise Problem(416, "no_such_part", f"The body has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def _type(element: dict[str, Any]) -> str:
    """What it says it is, if that is a media type; nothing of it reaches a header otherwise."""
    given = element.get("mediatype")
    plain = given.partition(";")[0].strip() if isinstance(given, str) else ""
    return plain if _TYPE.fullmatch(plain) else "application/octet-stream"

"""Lineage: which vCon was made from which.

Belongs here: reading and writing the links of one document, and following them. Not here: making copies
(``copies.py``), the table of all links.

A copy points back by its member ``redacted`` or ``amended``. The draft has nothing for the other way, so the original
is given a small attachment of purpose ``lineage``, appended as a change like any other: it merges with what pipelines
append at the same time, it is allowed beside a signed vCon (whose own members cannot be touched), and it is found by
any reader of attachments. Its body names the document it speaks of: an amended copy takes over its original's
attachments, and what they say is not said of the copy. It has no ``party`` and no ``dialog``: nobody in the
conversation wrote it, and the first caller must not be made its author.

What came from outside is not believed: uuids that are none, links to itself, circles and links to documents that are
not here all occur and harm nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.gates import canonical_uuid

__all__ = ["PURPOSE", "Kin", "Kind", "Link", "NotACopy", "Role", "lineage_of", "link_back", "walk_lineage"]

PURPOSE = "lineage"
Kind = Literal["amended", "redacted"]
Role = Literal["original", "copy"]
_BACKWARD: tuple[tuple[str, Kind], ...] = (("amended_by", "amended"), ("redacted_by", "redacted"))
_FORWARD: tuple[Kind, ...] = ("amended", "redacted")
WALK_LIMIT = 1_000


class NotACopy(PlatformError):
    """A vCon was to be linked to another that it was not made from."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a document: the vCon ``uuid`` is its ``role``, by way of ``kind``."""

    kind: Kind
    uuid: str
    role: Role


@dataclass(frozen=True, slots=True)
class Kin:
    """A vCon that was reached: it is the ``link.role`` of the vCon ``via``. ``found``: it could be read."""

    link: Link
    via: str
    found: bool


def link_back(original: Vcon, copy: Vcon) -> bool:
    """Append to ``original`` that ``copy`` was made from it. False, and nothing changed, where it says so already.

    The attachment's ``start`` is the copy's creation. Raises :class:`NotACopy` if ``copy`` does not point at it.
    """
    kind = next(
        (link.kind for link in lineage_of(copy.data) if link == Link(link.kind, original.uuid, "original")), None
    )
    if kind is None:
        raise NotACopy(f"vCon {copy.uuid} does not say that it was made from vCon {original.uuid}")
    if Link(kind, copy.uuid, "copy") in lineage_of(original.data):
        return False
    original.append(
        "attachments",
        {
            "purpose": PURPOSE,
            "start": copy.created_at,
            "mediatype": "application/json",
            "encoding": "json",
            "body": {"uuid": original.uuid, f"{kind}_by": copy.uuid},
        },
    )
    return True


def lineage_of(data: Mapping[str, Any]) -> list[Link]:
    """The links of one document, each once: what it was made from first, then its copies in the order they were told.
    Uuids are in their canonical form; links of a document to itself are left out."""
    own = canonical_uuid(data.get("uuid"))
    links = dict.fromkeys(link for link in (*_to_originals(data), *_to_copies(data, own)) if link.uuid != own)
    return list(links)


def walk_lineage(start: str, read: Callable[[str], Mapping[str, Any] | None], *, limit: int = WALK_LIMIT) -> list[Kin]:
    """Every vCon that ``start`` is linked with, near ones first, originals and copies and theirs, each once, without
    ``start`` itself. ``read`` gives a vCon's data, or None if it is not here; it is asked at most ``limit`` times."""
    seen = {canonical_uuid(start) or start}
    kin: list[Kin] = []
    data = read(start)
    waiting = deque((start, link) for link in lineage_of(data or {}))
    while waiting and len(kin) < limit - 1:
        via, link = waiting.popleft()
        if link.uuid in seen:
            continue
        seen.add(link.uuid)
        data = read(link.uuid)
        kin.append(Kin(link, via, data is not None))
        waiting.extend((link.uuid, further) for further in lineage_of(data or {}) if further.uuid not in seen)
    return kin


def _to_originals(data: Mapping[str, Any]) -> Iterator[Link]:
    for kind in _FORWARD:
        reference = data.get(kind)
        if isinstance(reference, Mapping) and (uuid := canonical_uuid(reference.get("uuid"))):
            yield Link(kind, uuid, "original")


def _to_copies(data: Mapping[str, Any], own: str | None) -> Iterator[Link]:
    attachments = data.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else ():
        if not isinstance(attachment, Mapping) or attachment.get("purpose") != PURPOSE:
            continue
        body = _body(attachment.get("body"))
        if canonical_uuid(body.get("uuid", own)) != own:  # taken over from the document it speaks of
            continue
        for member, kind in _BACKWARD:
            if uuid := canonical_uuid(body.get(member)):
                yield Link(kind, uuid, "copy")


def _body(body: object) -> Mapping[str, Any]:
    """The body as a value; JSON text where a writer of drafts -01 and -02 made text of it."""
    if isinstance(body, str):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
    return body if isinstance(body, Mapping) else {}

"""Rows: built from a vCon, carried in it as an attachment, and read back from there.

Belongs here: what a row is and how it travels. Not here: how a value becomes SQL (``values.py``, the destinations).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson

from vcon_platform.projections.errors import RowError
from vcon_platform.projections.extract import EXTRACTORS, party_index
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome as Outcome
from vcon_platform.projections.values import Misfit, parse_time, without_nul
from vcon_platform.vcon.document import Vcon

PURPOSE = "projection"
"""The purpose of an attachment that carries a row."""

_HASH = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``day`` (UTC date of the conversation's created_at, ISO) is its partition; ``hash`` changes whenever
    day, values or the projection's declaration do, and only then."""

    uuid: str
    day: str
    values: Mapping[str, Any]
    hash: str


def day_of(vcon: Vcon) -> str:
    """The partition of a conversation: the UTC date of its created_at, ISO. Raises :class:`RowError`."""
    try:
        return parse_time(vcon.created_at).date().isoformat()
    except (Misfit, KeyError):
        raise RowError(f"vCon {vcon.uuid}: /created_at is no date and time, so the row has no day") from None


def row_hash(projection: Projection, day: str, values: Mapping[str, Any]) -> str:
    """Sixteen hex digits over the projection's version, the day and the values."""
    try:
        material = orjson.dumps([projection.version, day, dict(values)], option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise RowError(f"projection {projection.name}: a value is not JSON (half a surrogate pair?)") from None
    return hashlib.sha256(material).hexdigest()[:16]


def build_row(projection: Projection, vcon: Vcon, outcome: Outcome) -> Row:
    """The row of this conversation. Pure: the same document and outcome give the same row. U+0000 is left out of
    the values, all other text is verbatim. Raises :class:`RowError`."""
    day = day_of(vcon)
    values = {
        column.name: without_nul(EXTRACTORS[column.source].extract(vcon, outcome)) for column in projection.columns
    }
    return Row(uuid=vcon.uuid, day=day, values=values, hash=row_hash(projection, day, values))


def as_attachment(row: Row, projection: Projection, *, start: str | None = None) -> dict[str, Any]:
    """The row as a vCon attachment. ``start`` (RFC 3339) is when it was written, by default now."""
    return {
        "purpose": PURPOSE,
        "start": start or datetime.now(UTC).isoformat(),
        "mediatype": "application/json",
        "encoding": "json",
        "body": {"projection": projection.name, "day": row.day, "hash": row.hash, "row": dict(row.values)},
    }


def _body(attachment: Mapping[str, Any]) -> dict[str, Any]:
    body = attachment.get("body")
    if isinstance(body, str):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            body = None
    return body if isinstance(body, dict) else {}


def row_from_attachment(uuid: str, attachment: Mapping[str, Any]) -> Row:
    """The row that an attachment of the vCon ``uuid`` carries. Raises :class:`RowError` if it carries none.

    The uuid is the document's, never the attachment's word: whoever can post a vCon can post an attachment, and
    must not be able to write over another conversation's row.
    """
    body = _body(attachment)
    day, digest, values = body.get("day"), body.get("hash"), body.get("row")
    try:
        date.fromisoformat(day)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RowError(f"vCon {uuid}: a projection attachment has no day") from None
    if not isinstance(digest, str) or not _HASH.fullmatch(digest) or not isinstance(values, dict):
        raise RowError(f"vCon {uuid}: a projection attachment has no hash or no row")
    return Row(uuid=uuid, day=str(day), values=values, hash=digest)


def _own_index(vcon: Vcon, projection: str) -> int | None:
    """The newest attachment that carries this projection's row: two pipelines that ran at once may both have
    appended one."""
    found = [index for index, entry in vcon.attachments_for(PURPOSE) if _body(entry).get("projection") == projection]
    return found[-1] if found else None


def rows_of(data: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Projection, day and hash of each row that a document carries, oldest first; what is no row is left out."""
    for attachment in data.get("attachments") or ():
        if isinstance(attachment, dict) and attachment.get("purpose") == PURPOSE:
            body = _body(attachment)
            told = (body.get("projection"), body.get("day"), body.get("hash"))
            if all(isinstance(each, str) for each in told):
                yield told  # type: ignore[misc]  # each was looked at


def find_row(vcon: Vcon, projection: str) -> Row | None:
    """The row of a projection that the vCon carries; None if it carries none, or one that was withdrawn. Raises
    :class:`RowError` if it cannot be read."""
    index = _own_index(vcon, projection)
    if index is None or not _body(vcon.attachments[index]).get("hash"):
        return None
    return row_from_attachment(vcon.uuid, vcon.attachments[index])


def replaceable(vcon: Vcon, index: int) -> bool:
    """Whether this attachment may be replaced: what was signed may not, and is followed by a newer one instead."""
    return vcon.sealed is None or index >= vcon.sealed.get("attachments", 0)


def put_row(vcon: Vcon, row: Row, projection: Projection) -> bool:
    """Let the vCon carry this row: in place of the projection's earlier one, else as a new attachment. False, and
    nothing changed, when it carries the same row already."""
    attachment = as_attachment(row, projection)
    index = _own_index(vcon, projection.name)
    # Compared whole: an attachment that came with a posted vCon may have the right hash and another row.
    if index is not None and _body(vcon.attachments[index]) == attachment["body"]:
        return False
    agent = party_index(vcon, "agent")
    if agent is not None:  # never party 0 for want of a better one: that would pin the row on the first caller
        attachment["party"] = agent
    if vcon.dialog:
        attachment["dialog"] = 0
    if index is None or not replaceable(vcon, index):
        vcon.append("attachments", attachment)
    else:
        vcon.put("attachments", attachment, index)
    return True

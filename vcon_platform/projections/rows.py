"""Rows: built from a vCon, carried in it as an attachment, and read back from there.

Belongs here: what a conversation's rows are and how they travel. Not here: where their values come from
(``building.py``), how a value becomes SQL (``values.py``, the destinations).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import orjson

from vcon_platform.projections.bare import ROWS, bare_document
from vcon_platform.projections.building import row_values
from vcon_platform.projections.column import FAULTS
from vcon_platform.projections.errors import RowError
from vcon_platform.projections.extract import party_index
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome as Outcome
from vcon_platform.projections.values import Misfit, parse_time
from vcon_platform.vcon.document import Vcon

PURPOSE = ROWS
"""The purpose of an attachment that carries rows."""

UNSOUND = "0" * 12
"""In the version's place in the hash of a set in which a value could not be had: the set counts as outdated, and is
made anew when its day lands. The key may be there by then, and a filter that was too slow may have the time."""

_HASH = re.compile(r"([0-9a-f]{12})-[0-9a-f]{16}-([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class RowSet:
    """The rows of one conversation in one projection: what is written, replaced and deleted together.

    ``day`` (UTC date of the conversation's created_at, ISO) is their partition; ``hash`` changes whenever day, values
    or the projection's declaration do, and only then. It begins with the declaration's version and ends with how many
    rows there are: a destination that holds fewer of them does not hold the set. No rows: no hash ("")."""

    uuid: str
    day: str
    rows: tuple[Mapping[str, Any], ...]
    hash: str


def day_of(vcon: Vcon) -> str:
    """The partition of a conversation: the UTC date of its created_at, ISO. Raises :class:`RowError`."""
    try:
        return parse_time(vcon.created_at).date().isoformat()
    except (Misfit, KeyError):
        raise RowError(f"vCon {vcon.uuid}: /created_at is no date and time, so the row has no day") from None


def set_hash(projection: Projection, day: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """``{version}-{sixteen hex digits over version, day and values}-{how many rows}``. Raises :class:`RowError`."""
    try:
        material = orjson.dumps([projection.version, day, list(map(dict, rows))], option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise RowError(f"projection {projection.name}: a value is not JSON (half a surrogate pair?)") from None
    return f"{projection.version}-{hashlib.sha256(material).hexdigest()[:16]}-{len(rows)}"


def version_of(digest: str) -> str:
    """The version of the declaration by which a set of this hash was made; "" where the hash is none of ours."""
    found = _HASH.fullmatch(digest)
    return found[1] if found else ""


def count_of(digest: str) -> int:
    """How many rows a set of this hash has; 0 where the hash is none of ours."""
    found = _HASH.fullmatch(digest)
    return int(found[2]) if found else 0


def build_rows(projection: Projection, vcon: Vcon, outcome: Outcome) -> RowSet:
    """The rows of this conversation; none where its declaration gives it none. Pure: the same document and outcome give
    the same rows. U+0000 is left out of the values, all other text is verbatim but for masks. A column of the whole
    document holds its digest (:func:`with_document`). Raises :class:`RowError`."""
    day = day_of(vcon)
    rows = tuple(row_values(projection, vcon, outcome))
    digest = set_hash(projection, day, rows) if rows else ""
    if any(FAULTS in row for row in rows):
        digest = UNSOUND + digest[len(UNSOUND) :]
    return RowSet(uuid=vcon.uuid, day=day, rows=rows, hash=digest)


def with_document(projection: Projection, rows: RowSet, vcon: Vcon) -> RowSet:
    """The rows with the document itself where they carry its digest, as it is landed. The hash stays: it is that of
    the rows that the document carries."""
    if not projection.whole_columns:
        return rows
    whole = dict.fromkeys(projection.whole_columns, bare_document(vcon))
    return replace(rows, rows=tuple({**row, **whole} for row in rows.rows))


def as_attachment(
    rows: RowSet, projection: Projection, outcome: Outcome, *, start: str | None = None
) -> dict[str, Any]:
    """The rows as a vCon attachment, with the outcome that some columns are filled from, so that they can be made anew
    for another version of the declaration. ``start`` (RFC 3339) is when it was written, by default now."""
    return {
        "purpose": PURPOSE,
        "start": start or datetime.now(UTC).isoformat(),
        "mediatype": "application/json",
        "encoding": "json",
        "body": {
            "projection": projection.name,
            "day": rows.day,
            "hash": rows.hash,
            "outcome": asdict(outcome),
            "rows": [dict(row) for row in rows.rows],
        },
    }


def _body(attachment: Mapping[str, Any]) -> dict[str, Any]:
    body = attachment.get("body")
    if isinstance(body, str):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            body = None
    return body if isinstance(body, dict) else {}


def rows_from_attachment(uuid: str, attachment: Mapping[str, Any]) -> RowSet:
    """The rows that an attachment of the vCon ``uuid`` carries. Raises :class:`RowError` if it carries none.

    The uuid is the document's, never the attachment's word: whoever can post a vCon can post an attachment, and
    must not be able to write over another conversation's rows.
    """
    body = _body(attachment)
    day, digest, rows = body.get("day"), body.get("hash"), body.get("rows")
    try:
        date.fromisoformat(day)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RowError(f"vCon {uuid}: a projection attachment has no day") from None
    if not isinstance(digest, str) or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RowError(f"vCon {uuid}: a projection attachment has no hash or no rows")
    if count_of(digest) != len(rows):
        raise RowError(f"vCon {uuid}: a projection attachment has another number of rows than its hash says")
    return RowSet(uuid=uuid, day=str(day), rows=tuple(rows), hash=digest)


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


def find_rows(vcon: Vcon, projection: str) -> RowSet | None:
    """The rows of a projection that the vCon carries; None if it carries none, or such as were withdrawn. Raises
    :class:`RowError` if they cannot be read."""
    index = _own_index(vcon, projection)
    if index is None or not _body(vcon.attachments[index]).get("hash"):
        return None
    return rows_from_attachment(vcon.uuid, vcon.attachments[index])


def find_outcome(vcon: Vcon, projection: str) -> Outcome | None:
    """The outcome from which the rows that the vCon carries were made; None if it carries none."""
    index = _own_index(vcon, projection)
    told = _body(vcon.attachments[index]).get("outcome") if index is not None else None
    try:
        return Outcome(**told) if isinstance(told, dict) else None
    except TypeError:  # not one of ours
        return None


def replaceable(vcon: Vcon, index: int) -> bool:
    """Whether this attachment may be replaced: what was signed may not, and is followed by a newer one instead."""
    return vcon.sealed is None or index >= vcon.sealed.get("attachments", 0)


def put_rows(vcon: Vcon, rows: RowSet, projection: Projection, outcome: Outcome) -> bool:
    """Let the vCon carry these rows: in place of the projection's earlier ones, else as a new attachment; where there
    are none, withdraw those. False, and nothing changed, when it carries the same rows already."""
    if not rows.rows:
        return withdraw_rows(vcon, projection.name)
    attachment = as_attachment(rows, projection, outcome)
    index = _own_index(vcon, projection.name)
    # Compared whole: an attachment that came with a posted vCon may have the right hash and other rows.
    if index is not None and _body(vcon.attachments[index]) == attachment["body"]:
        return False
    agent = party_index(vcon, "agent")
    if agent is not None:  # never party 0 for want of a better one: that would pin the rows on the first caller
        attachment["party"] = agent
    if vcon.dialog:
        attachment["dialog"] = 0
    if index is None or not replaceable(vcon, index):
        vcon.append("attachments", attachment)
    else:
        vcon.put("attachments", attachment, index)
    return True


def withdraw_rows(vcon: Vcon, projection: str) -> bool:
    """Empty the projection's attachments in place: indexes are positions, so nothing is ever removed. One that was
    signed stays as it is, and an empty one follows it. False, and nothing changed, where there was nothing to empty."""
    changed = False
    for index, attachment in list(vcon.attachments_for(PURPOSE)):
        body = _body(attachment)
        if body.get("projection") == projection and body.get("hash"):
            emptied = {**attachment, "body": {**body, "hash": "", "rows": []}}
            if replaceable(vcon, index):
                vcon.put("attachments", emptied, index)
                changed = True
            elif _carries_rows(vcon, projection):
                vcon.append("attachments", emptied)
                changed = True
    return changed


def _carries_rows(vcon: Vcon, projection: str) -> bool:
    index = _own_index(vcon, projection)
    return index is not None and bool(_body(vcon.attachments[index]).get("hash"))

"""What a vCon says about the lawful basis of its processing: its records, read one statement at a time.

Belongs here: draft-howe-vcon-lawful-basis-00 to -02 as documents write it, and draft-howe-vcon-consent-00 before it.
Not here: what follows from the statements (``consent.py``), who is asked and when (``processors/consented.py``).

Every shape that occurs is read: the attachment named by ``purpose`` (or ``type``, as draft -00 and its predecessor have
it), its body an object, JSON text or base64url. What cannot be read grants nothing. A record that cannot be read at all
counts as a denial by whoever it is about, for it may be one.

Proofs (``proof_mechanisms``) are not judged. A program that takes "No, I do not consent" for a proof of consent, as it
holds the word, does more harm than one that leaves proofs to people; what vouches for a record is the signature of the
vCon that it is in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.media import BodyError, decode_base64url

__all__ = ["ANY", "BASES", "Statement", "purpose_name", "read_statements"]

BASES = frozenset({"consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"})
ANY = "*"
"""The purpose of a statement that is about every purpose. Only a denial can be that."""

_PURPOSES = frozenset({"lawful_basis", "lawful_purpose"})
_EARLIER = "consent"
"""How draft-howe-vcon-consent-00 called its attachments; so are others called too, such as a signed form."""
_EVERYTHING = frozenset({"", "all", "any", "processing", "all_processing", "everything"})
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "sha_256": lambda raw: hashlib.sha256(raw).hexdigest(),
    "sha_3_256": lambda raw: hashlib.sha3_256(raw).hexdigest(),
    "sha3_256": lambda raw: hashlib.sha3_256(raw).hexdigest(),
    "blake2b_256": lambda raw: hashlib.blake2b(raw, digest_size=32).hexdigest(),
}
_INTERVAL = re.compile(r"(?:P)?(?:T)?([0-9]{1,9})([smhdwy]?)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_MOST = 1000
"""Statements that are read of one vCon; one with more of them counts as unreadable."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one record says of one purpose. ``attachment``: where it stands. ``party``: whose data it is about, None for
    everybody's. ``at``: when it was made. ``expires``, ``stale``: when it ends, and when it must have been made anew.
    ``flaw``: why a grant does not count whatever the time (a code of :class:`~vcon_platform.vcon.consent.Decision`)."""

    attachment: int
    basis: str
    purpose: str
    granted: bool
    party: int | None = None
    at: float | None = None
    expires: float | None = None
    stale: float | None = None
    conditions: tuple[str, ...] = ()
    flaw: str = ""


def read_statements(
    data: Mapping[str, Any], body: Callable[[Mapping[str, Any]], bytes] | None = None
) -> tuple[Statement, ...]:
    """Every statement of a document, in its order. ``body`` reads a body that does not stand in the attachment itself;
    without it such a record cannot be read. Raises what ``body`` raises for a passing reason (``error.transient``)."""
    found: list[Statement] = []
    parties = len(array(data, "parties"))
    for index, attachment in enumerate(array(data, "attachments")):
        called = attachment.get("purpose", attachment.get("type"))
        called = purpose_name(called) if isinstance(called, str) else ""
        if called in _PURPOSES or called == _EARLIER:
            found += _record(index, attachment, parties, body, sure=called != _EARLIER)
        if len(found) > _MOST:
            return (Statement(index, "consent", ANY, granted=False, flaw="unreadable"),)
    return tuple(found)


@lru_cache(maxsize=1024)
def purpose_name(text: str) -> str:
    """A purpose as it is compared: ``Sentiment Analysis`` and ``sentiment-analysis`` are ``sentiment_analysis``."""
    return re.sub(r"[^0-9a-z]+", "_", text.casefold()).strip("_") if len(text) <= 200 else text


def _record(
    index: int,
    attachment: Mapping[str, Any],
    parties: int,
    read: Callable[[Mapping[str, Any]], bytes] | None,
    *,
    sure: bool,
) -> Iterator[Statement]:
    """``sure``: it is a record, whether it can be read or not."""
    record = _body(attachment, read if sure else None)
    party = attachment.get("party")
    if party is None and record is not None:  # the older draft has it inside
        party = record.get("party")
    known = type(party) is int and 0 <= party < parties
    about = party if known else None
    grants = record.get("purpose_grants", record.get("consents")) if record is not None else None
    if record is None or not isinstance(grants, list):
        if sure:
            yield Statement(index, "consent", ANY, granted=False, party=about, flaw="unreadable")
        return
    basis = purpose_name(str(record.get("lawful_basis", "consent" if "consents" in record else "")))
    flaw = "" if basis in BASES else "basis"
    if party is not None and not known:  # what is said of somebody who is not there is said of nobody
        flaw = "party"
    if basis != "consent" and about == 0:  # "use 0 when no specific party applies" (section 4.1): the controller's word
        about = None
    flaw = flaw or _hash_flaw(record)
    ends, limit = _expiry(record.get("expiration"))
    for grant in grants:
        yield _statement(
            grant,
            Statement(index, basis, ANY, granted=False, party=about, expires=ends, flaw=flaw or limit),
            record,
            attachment,
        )


def _statement(grant: object, form: Statement, record: Mapping[str, Any], attachment: Mapping[str, Any]) -> Statement:
    """One entry of ``purpose_grants``. Whatever is no clear yes is a no."""
    if not isinstance(grant, Mapping):
        return Statement(form.attachment, form.basis, ANY, granted=False, party=form.party, flaw="unreadable")
    named = grant.get("purpose", grant.get("consent"))
    purpose = purpose_name(named) if isinstance(named, str) else ""
    said = grant.get("granted", grant.get("status"))
    granted = said is True or (isinstance(said, str) and purpose_name(said) == "granted")
    at = next(
        (
            moment
            for value in (grant.get("granted_at"), grant.get("timestamp"), attachment.get("start"))
            if (moment := _seconds(value)) is not None
        ),
        None,
    )
    if not granted:
        return Statement(
            form.attachment,
            form.basis,
            ANY if purpose in _EVERYTHING else purpose,
            granted=False,
            party=form.party,
            at=at,
        )
    conditions = grant.get("conditions")
    if conditions in (None, [], ""):
        conditions = []
    elif isinstance(conditions, str):
        conditions = [conditions]
    if not isinstance(conditions, list):
        conditions = ["?"]
    stale, limit = _stale(record, attachment, at) if form.expires is None else (None, "")
    return Statement(
        form.attachment,
        form.basis,
        purpose,
        granted=True,
        party=form.party,
        at=at,
        expires=form.expires,
        stale=stale,
        conditions=tuple(purpose_name(str(condition)) for condition in conditions),
        flaw=form.flaw or limit or ("" if purpose not in _EVERYTHING else "purpose"),
    )


def _body(attachment: Mapping[str, Any], read: Callable[[Mapping[str, Any]], bytes] | None) -> Mapping[str, Any] | None:
    """The record, or None where it cannot be read."""
    body: object = attachment.get("body")
    if body is None and read is not None:
        try:
            body = read(attachment).decode()
        except PlatformError as error:
            if error.transient:
                raise
            return None
        except UnicodeDecodeError:
            return None
    if isinstance(body, str):
        try:
            if attachment.get("encoding") == "base64url" and not body.lstrip().startswith("{"):
                body = decode_base64url(body)
            body = orjson.loads(body)
        except (BodyError, orjson.JSONDecodeError, ValueError):
            return None
    return body if isinstance(body, Mapping) else None


def _hash_flaw(record: Mapping[str, Any]) -> str:
    """Whether the record's own hash is that of the rest of it: a hash cannot be within what it is the hash of, so the
    member itself is left out. The draft (section 6.1) has such a record refused where it is not."""
    claimed = record.get("content_hash")
    if claimed is None:
        return ""
    if not isinstance(claimed, Mapping):
        return "content_hash"
    algorithm = _HASHES.get(purpose_name(str(claimed.get("algorithm"))))
    value = claimed.get("value")
    if algorithm is None or claimed.get("canonicalization") != "jcs" or not isinstance(value, str):
        return "content_hash"
    import rfc8785

    try:
        raw = rfc8785.dumps({name: inner for name, inner in record.items() if name != "content_hash"})
    except (rfc8785.CanonicalizationError, RecursionError):
        return "content_hash"
    return "" if algorithm(raw) == value.strip().lower() else "content_hash"


def _expiry(value: object) -> tuple[float | None, str]:
    """When a record ends (None: never), or why nobody knows."""
    if value is None:
        return None, ""
    ends = _seconds(value)
    return ends, "" if ends is not None else "expiration"


def _stale(record: Mapping[str, Any], attachment: Mapping[str, Any], at: float | None) -> tuple[float | None, str]:
    """When a record without an end has to have been confirmed again (``status_interval``); a later record does that."""
    interval = record.get("status_interval")
    if interval is None:
        return None, ""
    found = _INTERVAL.fullmatch(str(interval).strip()) if type(interval) in (int, str) else None
    if found is None:
        return None, "status_interval"
    proofs = record.get("proof_mechanisms")
    times = [at, _seconds(attachment.get("start"))]
    times += [
        _seconds(proof.get("timestamp"))
        for proof in (proofs if isinstance(proofs, list) else ())
        if isinstance(proof, Mapping)
    ]
    known = [moment for moment in times if moment is not None]
    if not known:
        return None, "status_interval"
    return max(known) + int(found[1]) * _UNITS[found[2].lower()], ""


def _seconds(value: object) -> float | None:
    """A time in seconds since 1970; times without a zone are UTC."""
    moment = read_date(value, UTC) if isinstance(value, str) else None
    return moment.seconds if moment is not None else None

"""A document of any version as the 0.4.0 view of drafts -03 and -04 (vcon_format.md section 6).

Belongs here: the walk over the whole document, its own members, parties, analysis and attachments. Not here: dialogs
(``migrate_dialog.py``), content (``migrate_content.py``), single values (``gates.py``), the forms around a document
(``received.py``), writing older versions (``export.py``).

The original bytes are kept elsewhere and never change; this makes what the platform works on. Features are looked at
one by one, never the version as a whole: writers mix them, and three drafts share one number. Nothing is invented (no
party, no start) but what the rules name: a vendor "unknown", and ``created_at``, which is told as derived. Elements
keep their places, since indexes are positions; members that no draft knows keep theirs at every level. A view that is
migrated again does not change. One pass migrates and checks: a value is looked at once, where it stands.
"""

from __future__ import annotations

from typing import Any

from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.gates import (
    canonical_uuid,
    check_date,
    check_indexes,
    check_uuid,
    derived_created_at,
)
from vcon_platform.vcon.migrate_content import content, is_empty, rename, rename_mimetype, same_mediatype
from vcon_platform.vcon.migrate_dialog import dialog, drop_nulls
from vcon_platform.vcon.notes import VERSIONS, Notes
from vcon_platform.vcon.tags import read_body

ARRAYS = ("parties", "dialog", "analysis", "attachments")

_OLD = frozenset(
    (
        "vcon",
        "appended",
        "must_support",
        "redacted",
        "amended",
        "group",
        "subject",
        "updated_at",
        "extensions",
        "critical",
    )
)
_CONTENT = frozenset(("mediatype", "filename", "body", "encoding", "url", "content_hash"))
_PARTY = frozenset(
    (
        *("tel", "sip", "stir", "mailto", "name", "did", "validation", "gmlpos", "uuid", "type", "org", "dept"),
        *("civicaddress", "role", "contact_list"),
    )
)
_OLD_CONTENT = frozenset(("mimetype", "alg", "signature"))
_ATTACHMENT = _CONTENT | _OLD_CONTENT | {"start", "party", "dialog", "purpose", "type"}
_LINK = _CONTENT | _OLD_CONTENT
_OLD_ANALYSIS = frozenset(("vendor_schema", "vendor_product", "schema_version", "transcript"))
_ANALYSIS = _CONTENT | _OLD_CONTENT | _OLD_ANALYSIS | {"type", "vendor", "product", "schema", "dialog", "attachment"}
_MEDIA_TYPES = ("application/", "audio/", "font/", "image/", "message/", "model/", "multipart/", "text/", "video/")


class Migrated:
    """What the walk found: ``version``, the document's own word for it or else what its features say; ``critical``,
    the extensions it must not be processed without; ``derived``, top-level members that it did not have."""

    __slots__ = ("critical", "derived", "version")

    def __init__(self) -> None:
        self.version = ""
        self.critical: tuple[str, ...] = ()
        self.derived: tuple[str, ...] = ()


def migrate(data: dict[str, Any], notes: Notes) -> Migrated:
    """Turn ``data`` into the view, in place, and write down what there is to say. Raises :class:`Rejected` only where
    there are too many elements or faults; the caller settles the other faults."""
    found = Migrated()
    check_uuid(data, notes)
    if not _OLD.isdisjoint(data):
        _members(data, found, notes)
    parties, dialogs, analysis, attachments = [_array(data, name, notes) for name in ARRAYS]
    notes.parties, notes.dialogs, notes.attachments = len(parties), len(dialogs), len(attachments)
    for index, item in enumerate(parties):
        _party(item, index, notes)
    first_start: float | None = None
    for index, item in enumerate(dialogs):
        if type(item) is not dict:
            _no_object("dialog", index, notes)
            continue
        start = dialog(item, index, notes)
        if start is not None and (first_start is None or start < first_start):
            first_start = start
    for index, item in enumerate(analysis):
        _analysis(item, index, notes)
    for index, item in enumerate(attachments):
        _attachment(item, index, notes)
    if data.get("created_at") is None:
        data["created_at"] = derived_created_at(first_start, notes)
        found.derived = ("created_at",)
        message = "it is missing; the time in the uuid stands for it, else the first start, else the time of receipt"
        notes.finding("created_at_derived", "/created_at", message)
    else:
        check_date(data, "created_at", "", notes, epoch=False)
    found.version = found.version or VERSIONS[notes.trait]
    return found


def _array(data: dict[str, Any], name: str, notes: Notes) -> list[Any]:
    """One of the four arrays; absent and null are empty."""
    value = data.get(name)
    if type(value) is list:
        if len(value) > notes.policy.limits.dialogs:
            code = "too_many_dialogs" if name == "dialog" else f"too_many_{name}"
            message = f"it may have {notes.policy.limits.dialogs} elements; split the conversation"
            raise Rejected(Fault(code, f"/{name}", message, status=413))
        return value
    if value is not None:
        notes.fault("wrong_type", f"/{name}", "it must be an array of objects")
    elif name in data:
        del data[name]
        notes.finding("empty_dropped", f"/{name}", "null counts as absent")
    return []


def _no_object(array: str, index: int, notes: Notes) -> None:
    notes.fault("wrong_type", f"/{array}/{index}", "it must be an object; an empty one where nothing is known")


# --- the document's own members --------------------------------------------------------------------------------


def _members(data: dict[str, Any], found: Migrated, notes: Notes) -> None:
    if "vcon" in data:
        _version(data, found, notes)
    for old, new, version in (("appended", "amended", "0.0.2"), ("must_support", "critical", "0.3.0")):
        if old in data:
            _old_member(data, old, new, notes)
            notes.older(version)
    for member in ("redacted", "amended"):
        if member in data:
            _lineage(data, member, notes)
    if "redacted" in data and "amended" in data:
        notes.fault("mutually_exclusive", "/amended", "a vCon is redacted or amended, not both; make two steps of it")
    for member in ("group", "subject", "updated_at", "extensions", "critical"):
        if member in data and (data[member] is None or (member == "group" and is_empty(data[member]))):
            _drop_empty(data, member, notes)
    if "subject" in data and type(data["subject"]) is not str:
        notes.fault("wrong_type", "/subject", "it must be a string")
    if "updated_at" in data:
        check_date(data, "updated_at", "", notes, epoch=False)
    for member in ("extensions", "critical"):
        if member in data and not _are_names(data[member]):
            notes.fault("wrong_type", f"/{member}", "it must be an array of names of extensions")
        elif member == "critical" and "critical" in data:
            found.critical = tuple(dict.fromkeys(data["critical"]))


def _version(data: dict[str, Any], found: Migrated, notes: Notes) -> None:
    """Rule 1: the version is metadata. One that says otherwise than 0.4.0 is told."""
    value = data.pop("vcon")
    known = type(value) is str and value in VERSIONS
    if known:
        found.version = value
    if value != VERSIONS[-1] and value is not None:
        message = "an older version; it was brought to 0.4.0" if known else "no version of vCon; its members tell"
        notes.finding("version_migrated" if known else "unknown_version", "/vcon", message)


def _old_member(data: dict[str, Any], old: str, new: str, notes: Notes) -> None:
    if is_empty(data[old]):
        _drop_empty(data, old, notes)
    elif old == "must_support" and _are_names(data[old]) and _are_names(data.get(new)):
        data[new] = list(dict.fromkeys(data[new] + data.pop(old)))  # neither may be overlooked
        notes.finding("member_renamed", f"/{old}", f"its name is {new} since")
    else:
        rename(data, old, new, "", notes)


def _are_names(value: Any) -> bool:
    return type(value) is list and all(type(name) is str for name in value)


def _drop_empty(data: dict[str, Any], member: str, notes: Notes) -> None:
    del data[member]
    notes.finding("empty_dropped", f"/{member}", "it is empty and counts as absent")


def _lineage(data: dict[str, Any], member: str, notes: Notes) -> None:
    """``redacted`` or ``amended``: what this document was made from."""
    link, place = data[member], f"/{member}"
    if is_empty(link):
        _drop_empty(data, member, notes)
        return
    if type(link) is not dict:
        notes.fault("wrong_type", place, "it must be an object that names another vCon")
        return
    if (link.get("body") or not link.keys().isdisjoint(ARRAYS)) and member == "redacted":
        message = "it holds the original, from which something was to be removed; leave it out, name it by uuid"
        notes.fault("inline_original", place, message)
        return
    uuid = link.get("uuid")
    if uuid is not None:
        canonical = canonical_uuid(uuid)
        if canonical is None:
            notes.finding("bad_reference", f"{place}/uuid", "it is not a UUID; what it names cannot be found")
        elif canonical != uuid:
            link["uuid"] = canonical
            notes.finding("uuid_normalised", f"{place}/uuid", "it was brought to lower case without a urn prefix")
        if canonical is not None and canonical == notes.uuid:
            notes.finding("self_reference", f"{place}/uuid", "the document names itself as what it was made from")
    if not link.keys().isdisjoint(_LINK):
        drop_nulls(link, _LINK)
        content(link, place, notes)


# --- parties, analysis, attachments ----------------------------------------------------------------------------


def _party(item: Any, index: int, notes: Notes) -> None:
    if type(item) is not dict:
        _no_object("parties", index, notes)
        return
    if None in item.values():
        drop_nulls(item, _PARTY)
    if "email" in item and "mailto" not in item and type(item["email"]) is str:
        rename(item, "email", "mailto", f"/parties/{index}", notes)


def _analysis(item: Any, index: int, notes: Notes) -> None:
    if type(item) is not dict:
        _no_object("analysis", index, notes)
        return
    place = f"/analysis/{index}"
    if None in item.values():
        drop_nulls(item, _ANALYSIS)
    if not _OLD_ANALYSIS.isdisjoint(item):
        for old, new in (("vendor_schema", "schema"), ("schema_version", "schema"), ("vendor_product", "product")):
            rename(item, old, new, place, notes)
        if "body" not in item and not item.get("url"):
            rename(item, "transcript", "body", place, notes)
        notes.older("0.0.1")
    kind = item.get("type")
    if type(kind) is not str:
        if kind is not None:
            notes.fault("wrong_type", f"{place}/type", "it must be a string")
        elif item:
            notes.finding("type_missing", f"{place}/type", "there is none; readers pass over such an analysis")
    if "vendor" not in item and item:
        item["vendor"] = "unknown"
        notes.finding("vendor_assumed", f"{place}/vendor", 'it is required and missing; "unknown" stands for it')
    if "dialog" in item:
        check_indexes(item["dialog"], notes.dialogs, "dialog", f"{place}/dialog", notes)
    if "attachment" in item:
        check_indexes(item["attachment"], notes.attachments, "attachments", f"{place}/attachment", notes)
    content(item, place, notes)


def _attachment(item: Any, index: int, notes: Notes) -> None:
    if type(item) is not dict:
        _no_object("attachments", index, notes)
        return
    place = f"/attachments/{index}"
    if None in item.values():
        drop_nulls(item, _ATTACHMENT)
    if "type" in item:
        _attachment_type(item, place, notes)
    purpose = item.get("purpose")
    if purpose is not None and type(purpose) is not str:
        notes.fault("wrong_type", f"{place}/purpose", "it must be a string")
    if "start" in item:
        check_date(item, "start", place, notes, epoch=True)
    if "party" in item:
        check_indexes(item["party"], notes.parties, "parties", f"{place}/party", notes)
    if "dialog" in item:
        check_indexes(item["dialog"], notes.dialogs, "dialog", f"{place}/dialog", notes)
    content(item, place, notes)
    if purpose == "tags" and "body" in item and read_body(item["body"]).bad:
        notes.finding(
            "bad_tag_items", f"{place}/body", "some of it is no key:value; it is left out of the tags", strict=False
        )


def _attachment_type(item: dict[str, Any], place: str, notes: Notes) -> None:
    """Rule 7: until 0.3.0 the purpose was called type. Some writers put the media type there."""
    kind = item["type"]
    if type(kind) is not str:
        notes.fault("wrong_type", f"{place}/type", "it must be a string")
        return
    rename_mimetype(item, place, notes)
    if kind.lower().startswith(_MEDIA_TYPES):
        rename(item, "type", "mediatype", place, notes, same=same_mediatype)
    else:
        rename(item, "type", "purpose", place, notes)
    notes.older("0.3.0")

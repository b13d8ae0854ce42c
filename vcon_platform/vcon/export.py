"""The view written the way an older reader wants it: 0.0.1, 0.0.2, 0.4.0, and the conserver's 0.0.1 egress form.

Belongs here: the way down, from the 0.4.0 view to older names and shapes. Not here: the way up (``migrate.py``), or
which caller gets which version (``api/``). A signed or encrypted vCon is handed out as it came, never through here.

Two families read 0.0.1 and mean different things by it, so there are two forms of it:

- ``0.0.1`` and ``0.0.2`` are what python-vcon 0.6.0 and the py_vcon_server read; they refuse every other version.
  In 0.0.1 a media type is ``mimetype``, a hash is ``alg`` and ``signature``, an analysis names ``vendor_schema`` and
  ``vendor_product``; 0.0.2 has ``mediatype``, ``content_hash``, ``schema`` and ``product`` already. A 0.0.2 document
  says ``amended`` although its draft said ``appended``: that is what the readers of 0.0.2 look for.
- ``conserver`` is the conserver's EGRESS_FORMAT_VERSION=0.0.1: ``schema_version``, JSON bodies of analyses and
  attachments as values under encoding ``none``, and ``group``, ``redacted`` and ``appended`` always there. (It also
  renames ``schema`` of a dialog and ``critical`` of any element, which no draft knows; here they are handed on.)

What an old version has no word for (a recording-set, two tokens in one content_hash, a session with both ends) stays
under its present name: an old reader passes over members it does not know, and nothing is lost on the way back up.
Where the old name is taken already by something else, the present name stays too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.document import ARRAYS

__all__ = ["VERSIONS", "ExportVersion", "UnknownVersion", "export"]

ExportVersion = Literal["0.0.1", "0.0.2", "0.4.0", "current", "conserver"]
VERSIONS: tuple[str, ...] = get_args(ExportVersion)

_Element = Mapping[str, Any]
_Rewrite = Callable[[str, _Element], _Element]

_TRANSFER = {"transfer_target": "transfer-target", "target_dialog": "target-dialog"}
_BEFORE_0_4_0 = {"dialog": _TRANSFER, "attachments": {"purpose": "type"}}
_MIMETYPE = {"mediatype": "mimetype"}
_PETRIE = {
    "dialog": {**_TRANSFER, **_MIMETYPE},
    "analysis": {**_MIMETYPE, "schema": "vendor_schema", "product": "vendor_product"},
    "attachments": {"purpose": "type", **_MIMETYPE},
}
_EGRESS = {
    "dialog": _MIMETYPE,
    "analysis": {**_MIMETYPE, "schema": "schema_version"},
    "attachments": {**_MIMETYPE, "purpose": "type"},
}
_OLD_SCHEMAS = frozenset({"vendor_schema", "schema_version"})
_APPENDED = {"amended": "appended"}
_MUST_SUPPORT = {"critical": "must_support"}
_HASH_ALGORITHM = "sha512-"
_JSON = (dict, list, str, int, float, bool, type(None))
"""What a body can be that is in the document itself (a long one may stand beside it, see ``bodies.py``)."""


class UnknownVersion(PlatformError):
    """A version that no reader is known to ask for."""


def export(data: Mapping[str, Any], version: ExportVersion, *, json_strings: bool = False) -> dict[str, Any]:
    """The 0.4.0 view ``data`` as readers of ``version`` know it. ``data`` is never changed; what need not change is
    shared with the answer, so the answer must not be changed in place either.

    ``current`` is the view as it is, ``0.4.0`` the same with the member ``vcon`` and all four arrays. ``json_strings``
    writes bodies of encoding ``json`` as JSON text, as drafts -01 and -02 have it (vcon-server, vcon-mcp); it means
    nothing for ``conserver``, which has its own rule. Migrating the answer gives ``data`` again (``group: []``,
    ``redacted: {}`` and empty arrays apart, which old readers expect and the view does without).

    Raises :class:`UnknownVersion`.
    """
    match version:
        case "current":
            written = dict(data)
        case "0.4.0":
            written = {"vcon": version, **_without(data, "vcon"), **_empty_arrays(data)}
        case "0.0.2":
            written = _old(data, version, _MUST_SUPPORT, _BEFORE_0_4_0, _session_text)
        case "0.0.1":
            written = _old(data, version, {**_APPENDED, **_MUST_SUPPORT}, _PETRIE, _petrie_element)
        case "conserver":
            written = _old(data, "0.0.1", {**_APPENDED, **_MUST_SUPPORT}, _EGRESS, _egress_body)
            written.setdefault("appended", None)
            return written
        case _:
            raise UnknownVersion(
                f"no vCon version {str(version)[:20]!r} is written; ask for one of {', '.join(VERSIONS)}"
            )
    if json_strings:
        _rewrite(written, _json_text)
    return written


def _old(
    data: Mapping[str, Any],
    version: str,
    top: Mapping[str, str],
    names: Mapping[str, Mapping[str, str]],
    element: _Rewrite,
) -> dict[str, Any]:
    written = {"vcon": version, **_renamed(_without(data, "vcon"), top), **_empty_arrays(data)}
    written.setdefault("group", [])
    written.setdefault("redacted", {})
    _rewrite(written, lambda array, entry: element(array, _renamed(entry, names.get(array, {}))))
    return written


def _without(data: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    return {name: value for name, value in data.items() if name != member} if member in data else data


def _empty_arrays(data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Readers of every old form index into the arrays without asking whether they are there."""
    return {array: [] for array in ARRAYS if data.get(array) is None}


def _rewrite(written: dict[str, Any], rewrite: _Rewrite) -> None:
    """Replace the elements that ``rewrite`` changes; arrays where nothing changed stay the view's own."""
    for array in ARRAYS[1:]:  # no version has other names for a party's members
        entries = written.get(array)
        if not isinstance(entries, list):
            continue
        changed = [rewrite(array, entry) if isinstance(entry, Mapping) else entry for entry in entries]
        if any(after is not before for after, before in zip(changed, entries, strict=True)):
            written[array] = changed


def _renamed(entry: _Element, names: Mapping[str, str]) -> _Element:
    """``entry`` with old names, each in its place; a name that is taken already leaves the present one standing."""
    wanted = {new: old for new, old in names.items() if new in entry and old not in entry}
    if "purpose" in wanted and "/" in str(entry["purpose"]):
        del wanted["purpose"]  # as a type it would be taken for the media type, which some writers put there
    if "schema" in wanted and not entry.keys().isdisjoint(_OLD_SCHEMAS):
        del wanted["schema"]  # two old names of one member: nobody could tell which was ours
    if not wanted:
        return entry
    return {wanted.get(name, name): value for name, value in entry.items()}


def _session_text(array: str, entry: _Element) -> _Element:
    """A session id was a string before 0.4.0: one that has a local part only can be written so."""
    session = entry.get("session_id")
    if array == "dialog" and isinstance(session, Mapping) and set(session) == {"local"}:
        local = session["local"]
        if isinstance(local, str):
            return {**entry, "session_id": local}
    return entry


def _petrie_element(array: str, entry: _Element) -> _Element:
    entry = _session_text(array, entry)
    token = entry.get("content_hash")
    if isinstance(token, str) and token.startswith(_HASH_ALGORITHM) and not entry.keys() & {"alg", "signature"}:
        hashed = {"alg": "SHA-512", "signature": token.removeprefix(_HASH_ALGORITHM)}
        return {**{name: value for name, value in entry.items() if name != "content_hash"}, **hashed}
    return entry


def _egress_body(array: str, entry: _Element) -> _Element:
    """The conserver writes objects and lists of analyses and attachments as they are and calls that ``none``."""
    if array != "dialog" and entry.get("encoding") == "json" and isinstance(entry.get("body"), dict | list):
        return {**entry, "encoding": "none"}
    return entry


def _json_text(_array: str, entry: _Element) -> _Element:
    if entry.get("encoding") != "json" or not isinstance(entry.get("body", ...), _JSON):
        return entry
    return {**entry, "body": orjson.dumps(entry["body"]).decode()}

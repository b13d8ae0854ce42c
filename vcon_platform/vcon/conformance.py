"""The conformance report: what draft -04 would say of a document that is kept all the same.

Belongs here: gathering schema errors, missing members, unverified external content, signature state and the findings
of the gates into one answer, and turning that into faults for a strict source. Not here: the gates, which decide
whether a document can be read at all (``gates.py``, ``migrate.py``).

Why a report and no gate: of 3,187 public vCons one is valid under the -04 schema. Most of the rest can be read
without guessing, so they are taken in and told what they lack.

The schema is checked with ``jsonschema``, whose own messages quote the document. Ours are made from the schema's side
of an error alone (keyword, expected type, allowed values, member names): a report is shown to people who may not read
the conversation. It is linear, about 0.6 ms a dialog, and therefore made when somebody asks or a strict source posts,
not for every document in the hot path.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from vcon_platform.vcon.document import ARRAYS
from vcon_platform.vcon.faults import Fault, Finding
from vcon_platform.vcon.media import MEDIA_SCHEME
from vcon_platform.vcon.required import Missing, missing
from vcon_platform.vcon.urls import why_blocked

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

    from vcon_platform.vcon.received import Received

__all__ = ["BOUND", "External", "Missing", "Report", "SchemaError", "report", "report_of", "strict_faults"]

BOUND = 100
"""Entries of each list of a report; ``Report.cut`` names the lists that would have had more."""

SCHEMA = "core-04"
_SCHEMA_FILE = "vcon_core04_RECONSTRUCTED.schema.json"
_CURRENT = (None, "", "0.4.0")
"""What ``source_version`` is for a document that is written in the names of draft -03 or -04."""

_FILLED_IN = frozenset({"created_at_derived", "vendor_assumed", "encoding_assumed"})
"""Findings of the migration that a member was not there and something was put in its place."""

Subject = Literal["original", "view"]


@dataclass(frozen=True, slots=True)
class SchemaError:
    """Where the schema is violated, by which of its keywords, in a sentence. ``of``: the document as it came, or the
    migrated view of it."""

    of: Subject
    pointer: str
    keyword: str
    message: str


@dataclass(frozen=True, slots=True)
class External:
    """Content that lies elsewhere and was not fetched and compared with its hash yet.

    Of the url only scheme and host are told: paths and queries of recordings hold keys and names. ``hashed``: a
    content_hash to compare with is there. ``blocked``: why it will never be fetched (``urls.py``), None if it may be.
    """

    pointer: str
    scheme: str
    host: str
    hashed: bool
    blocked: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What draft -04 says of one document.

    ``conformant``: nothing was repaired and nothing that the draft demands is missing. ``checked``: what was held
    against ``schema``: always the view, and the document as it came too when that was written in current names; empty
    when it could not be read (encrypted, no key). ``signature``: none, unverified, valid, invalid, expired, untrusted.
    ``parked``: names in ``critical`` that are not supported here. ``cut``: lists that were longer than :data:`BOUND`.
    """

    conformant: bool
    schema: str
    checked: tuple[Subject, ...]
    schema_errors: tuple[SchemaError, ...]
    missing: tuple[Missing, ...]
    external: tuple[External, ...]
    signature: str
    warnings: tuple[Finding, ...]
    source_version: str | None
    critical: tuple[str, ...]
    parked: tuple[str, ...]
    cut: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def report(
    view: Mapping[str, Any],
    findings: Iterable[Finding] = (),
    *,
    original: Mapping[str, Any] | None = None,
    signature: str | None = None,
    source_version: str | None = None,
    parked: Sequence[str] = (),
    opaque: bool = False,
    verified: Collection[str] = (),
) -> Report:
    """The report on a document that was taken in.

    ``view``: its 0.4.0 view; ``findings``: what the gates and the migration told of it; ``original``: the value as it
    came, of a signed one the payload, if it is at hand; ``source_version``: its ``vcon`` member, None without one;
    ``opaque``: it is encrypted and no key fits, so that there is nothing to check; ``verified``: content_hash tokens
    of external content that was fetched and compared. Content in our own media store is not external.
    """
    subjects: list[tuple[Subject, Mapping[str, Any]]] = []
    if not opaque:
        if original is not None and source_version in _CURRENT:
            subjects.append(("original", original))
        subjects.append(("view", view))
    findings = sorted(findings, key=lambda finding: not finding.strict)  # what a list is cut by is the mildest
    filled_in = {finding.pointer for finding in findings if finding.code in _FILLED_IN}
    lists: dict[str, list[Any]] = {
        "schema_errors": list(
            islice((error for of, value in subjects for error in _schema_errors(of, value)), BOUND + 1)
        ),
        "missing": [] if opaque else sorted(missing(view, filled_in), key=_gravity),
        "external": [] if opaque else list(_external(view, frozenset(verified))),
        "warnings": findings,
    }
    told = {name: tuple(found[:BOUND]) for name, found in lists.items()}
    return Report(
        conformant=not (
            opaque
            or source_version not in _CURRENT
            or told["schema_errors"]
            or any(lack.level == "must" for lack in told["missing"])
            or any(warning.strict for warning in told["warnings"])
        ),
        schema=SCHEMA,
        checked=tuple(of for of, _ in subjects),
        schema_errors=told["schema_errors"],
        missing=told["missing"],
        external=told["external"],
        signature=str(signature) if signature else "none",
        warnings=told["warnings"],
        source_version=source_version,
        critical=_names(view.get("critical")),
        parked=_names(list(parked)),
        cut=tuple(name for name, found in lists.items() if len(found) > BOUND),
    )


def report_of(
    received: Received, *, original: Mapping[str, Any] | None = None, verified: Collection[str] = ()
) -> Report:
    """The report on what :func:`~vcon_platform.vcon.received.receive` gave. It changes the value it is given: whoever
    wants ``original`` checked too reads the bytes again."""
    return report(
        received.data,
        received.findings,
        original=original,
        signature=received.signature,
        source_version=received.source_version,
        parked=received.parked,
        opaque=received.opaque,
        verified=verified,
    )


def strict_faults(told: Report) -> tuple[Fault, ...]:
    """Why a strict source refuses the document (422), empty if it does not: schema errors, what the draft demands and
    a dialog's or attachment's ``start`` (-03 demands it, -04 recommends it), and the findings marked strict. Each
    place is named once per reason, in that order."""
    faults = [Fault("schema", error.pointer, error.message) for error in told.schema_errors]
    faults += [
        Fault("missing_member", lack.pointer, f"{lack.member!r} is missing; the draft {_ASKS[lack.level]} it")
        for lack in told.missing
        if lack.level == "must" or lack.member == "start"
    ]
    faults += [Fault(found.code, found.pointer, found.message) for found in told.warnings if found.strict]
    return tuple(dict.fromkeys(faults))


_ASKS = {"must": "demands", "should": "recommends"}


def _gravity(lack: Missing) -> tuple[bool, bool]:
    """What a strict source refuses comes first, so that no cut list hides it."""
    return lack.level != "must", lack.member != "start"


_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


def _names(value: object) -> tuple[str, ...]:
    """Names of extensions, as far as they are such: anything can be in a list that a document brings."""
    entries = value if isinstance(value, list | tuple) else ()
    return tuple(name if isinstance(name, str) and _NAME.fullmatch(name) else "?" for name in entries[:BOUND])


_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")


def _external(view: Mapping[str, Any], verified: Collection[str]) -> Iterator[External]:
    for pointer, entry in _with_content(view):
        url = entry.get("url")
        if not isinstance(url, str) or not url or url.startswith(MEDIA_SCHEME):
            continue
        tokens = entry.get("content_hash")
        tokens = [tokens] if isinstance(tokens, str) else tokens if isinstance(tokens, list) else []
        if any(isinstance(token, str) and token in verified for token in tokens):
            continue
        yield External(f"{pointer}/url", *_scheme_and_host(url), hashed=bool(tokens), blocked=why_blocked(url))


def _with_content(view: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in ("redacted", "amended"):
        if isinstance(view.get(name), Mapping):
            yield f"/{name}", view[name]
    for array in ARRAYS[1:]:
        entries = view.get(array)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, Mapping):
                yield f"/{array}/{index}", entry


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    return parts.scheme[:20], host if _HOST.fullmatch(host) else ""


# -- the schema -------------------------------------------------------------------------------------------------------


@cache
def _validator() -> Validator:
    import json
    from importlib.resources import files

    from jsonschema import Draft7Validator, FormatChecker

    checker = FormatChecker()
    checker.checks("uri")(_is_uri)  # jsonschema's own needs rfc3987, which is under the GPL
    schema = json.loads(files("vcon_platform.vcon").joinpath("schemas", _SCHEMA_FILE).read_bytes())
    return Draft7Validator(schema, format_checker=checker)


_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f-\U0010ffff]*")


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or _URI.fullmatch(value) is not None


def _schema_errors(of: Subject, value: Mapping[str, Any]) -> Iterator[SchemaError]:
    """Each place once per keyword and sentence: jsonschema names every missing member of one object by itself."""
    last = None
    for error in _validator().iter_errors(value):
        told = SchemaError(of, _pointer(error.absolute_path), str(error.validator), _sentence(error))
        if told != last:
            yield told
        last = told


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def _sentence(error: ValidationError) -> str:
    """What is wrong, in the schema's words alone."""
    asked: Any = error.validator_value
    present = error.instance if isinstance(error.instance, dict) else {}
    match error.validator:
        case "type":
            return f"must be of type {_listed(asked if isinstance(asked, list) else [asked])}"
        case "required":
            return f"lacks {_listed(name for name in asked if name not in present)}; add it"
        case "enum":
            return f"must be one of {_listed(asked)}"
        case "const":
            return f"must be {asked!r}"
        case "format":
            return f"is not in the form {asked!r}"
        case "minimum":
            return f"must be at least {asked}"
        case "dependencies":
            lacking = [(had, name) for had, names in asked.items() if had in present for name in names]
            return "; ".join(f"{had!r} needs {name!r} beside it" for had, name in lacking if name not in present)
        case "not":
            return f"must not have {_listed(_forbidden(asked, present), ' together with ')}"
        case "anyOf" | "oneOf":
            return "has none of the forms that are allowed here; see the draft for this member"
        case keyword:
            return f"does not satisfy the schema's {keyword!r}"


def _forbidden(asked: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    """Members that a ``not`` speaks of and the object has: alternatives under ``anyOf``, or a pair."""
    alternatives = asked.get("anyOf")
    if alternatives is None:
        yield from (name for name in asked.get("required", ()) if name in present)
        return
    for alternative in alternatives:
        yield from (name for name in alternative.get("required", ()) if name in present)


def _listed(names: Iterable[str], between: str = ", ") -> str:
    return between.join(repr(name) for name in names)

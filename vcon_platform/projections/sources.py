"""What ``from`` may say: a named extractor, or one with an argument, ``analysis(summary).body``.

Belongs here: reading that text. Not here: what an extractor reads (``extract.py``, ``grains.py``).

With an argument it finds one thing of many: the latest analysis of a type, the latest attachment of a purpose, a tag of
a name, the first party of a role. Behind an object stands a path, member by member, numbers for places in a list:
``analysis(scorecard).body.criteria.0.score``; ``analysis.body`` and ``element`` take one too. What is not there is
empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

from vcon_platform.projections.explain import choose
from vcon_platform.projections.extract import EXTRACTORS, Extractor, content, role_of, text_or_none
from vcon_platform.projections.grains import ELEMENT_EXTRACTORS, Around, Element, ElementExtractor
from vcon_platform.projections.outcome import Outcome
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags

_NAMED = re.compile(r"([a-z]+)\(([^()\x00-\x1f]{1,200})\)((?:\.[^.()\s]{1,200}){0,20})")
_PATHS = ("analysis.body", "analysis.result", "element")
"""Extractors that give objects, behind which a path may stand."""


@dataclass(frozen=True, slots=True)
class Finder:
    """An extractor with an argument: ``name``, what the argument is, what it gives, the vCon member it reads."""

    name: str
    argument: str
    description: str
    reads: str
    find: Callable[[Vcon, str], Any]


def _analysis(vcon: Vcon, kind: str) -> Any:
    return _with_body(
        next((entry for entry in reversed(array(vcon.data, "analysis")) if entry.get("type") == kind), None)
    )


def _attachment(vcon: Vcon, purpose: str) -> Any:
    entries = reversed(array(vcon.data, "attachments"))
    return _with_body(next((entry for entry in entries if entry.get("purpose", entry.get("type")) == purpose), None))


def _with_body(entry: Mapping[str, Any] | None) -> Any:
    return None if entry is None else {**entry, "body": content(entry)}


def _tag(vcon: Vcon, name: str) -> str | None:
    return next((value for key, value in tags(vcon) if key == name), None)


def _party(vcon: Vcon, role: str) -> Any:
    wanted = role.strip().casefold()
    for party in array(vcon.data, "parties"):
        meta = party.get("meta")
        said = text_or_none(party.get("role")) or text_or_none(meta.get("role") if isinstance(meta, dict) else None)
        if said and (said.strip().casefold() == wanted or role_of(party) == wanted):
            return party
    return None


FINDERS: Mapping[str, Finder] = MappingProxyType(
    {
        each.name: each
        for each in (
            Finder("analysis", "type", "The latest analysis of this type; its body as JSON", "analysis", _analysis),
            Finder(
                "attachment",
                "purpose",
                "The latest attachment of this purpose; its body as JSON",
                "attachments",
                _attachment,
            ),
            Finder("party", "role", "The first party of this role", "parties", _party),
            Finder("tag", "name", "The value of the first tag of this name", "attachments.tags", _tag),
        )
    }
)
"""All extractors with an argument."""


@lru_cache(maxsize=4096)
def resolve(text: str) -> Extractor | ElementExtractor:
    """The extractor that ``from`` names. Raises ValueError with the choices. Asked for each row, so it remembers."""
    if text in EXTRACTORS:
        return EXTRACTORS[text]
    if text in ELEMENT_EXTRACTORS:
        return ELEMENT_EXTRACTORS[text]
    named = _NAMED.fullmatch(text)
    if named is not None and named[1] in FINDERS:
        finder, argument, path = FINDERS[named[1]], named[2].strip(), tuple(named[3].split(".")[1:])
        reads = finder.reads
        if finder.name == "party":
            reads = f"parties.{path[0] if path else 'role'}"
        elif finder.name != "tag":
            reads = f"{reads}.{argument}"
        return Extractor(text, finder.description, (reads,), partial(_found, finder, argument, path))
    for name in _PATHS:
        if text.startswith(f"{name}.") and all(path := tuple(text[len(name) + 1 :].split("."))):
            whole = ELEMENT_EXTRACTORS[name]
            return ElementExtractor(
                text, whole.description, whole.reads, whole.grain, partial(_element_at, whole, path)
            )
    raise ValueError(choose(text, choices(), "an extractor"))


def choices() -> list[str]:
    """Everything that ``from`` may say, for messages."""
    return [
        *EXTRACTORS,
        *ELEMENT_EXTRACTORS,
        *(f"{finder.name}({finder.argument.upper()})" for finder in FINDERS.values()),
    ]


def _found(finder: Finder, argument: str, path: tuple[str, ...], vcon: Vcon, _: Outcome) -> Any:
    return at(finder.find(vcon, argument), path)


def _element_at(whole: ElementExtractor, path: tuple[str, ...], around: Around, element: Element) -> Any:
    return at(whole.extract(around, element), path)


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at the end of a path; None where it ends before."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value

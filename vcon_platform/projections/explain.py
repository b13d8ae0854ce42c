"""Turns pydantic's findings into sentences for the person who wrote a declaration: where, what, which choices.

Belongs here: wording. What is right or wrong stands in ``model.py`` and in the destinations' option models.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError

_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not a member of a projection's declaration",
    "string_type": "must be text (quote it if YAML reads it as something else)",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
}


def choose(given: object, choices: Iterable[str], what: str) -> str:
    """'X is not a WHAT; did you mean Y? Choices: ...'"""
    known = sorted(choices)
    close = get_close_matches(str(given), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{given!r} is not {what}{hint} Choices: {', '.join(known) or 'none'}"


def pointer(location: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901) from pydantic's location."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def problems(error: ValidationError, prefix: tuple[str | int, ...] = ()) -> list[str]:
    """One sentence per finding, each beginning with the JSON pointer of the place."""
    found = []
    for finding in error.errors(include_url=False, include_input=False):
        place = pointer((*prefix, *finding["loc"]))
        sentence = _SENTENCES.get(finding["type"]) or finding["msg"].removeprefix("Value error, ")
        # A rule that spans members names the place below its own itself.
        found.append(f"{place}{sentence}" if sentence.startswith("/") else f"{place or '/'} {sentence}")
    return found

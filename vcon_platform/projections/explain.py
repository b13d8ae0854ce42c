"""Turns pydantic's findings into sentences for the person who wrote a declaration: where, what, which choices.

Belongs here: wording. What is right or wrong stands in ``model.py`` and in the destinations' option models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

_SENTENCES = {
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


def problems(error: ValidationError, model: type[BaseModel], prefix: tuple[str | int, ...] = ()) -> list[str]:
    """One sentence per finding, each beginning with the JSON pointer of the place. ``model``: what was validated."""
    found = []
    for finding in error.errors(include_url=False, include_input=False):
        place = pointer((*prefix, *finding["loc"]))
        sentence = _sentence(finding["type"], finding["msg"], finding["loc"], model)
        # A rule that spans members names the place below its own itself.
        found.append(f"{place}{sentence}" if sentence.startswith("/") else f"{place or '/'} {sentence}")
    return found


def _sentence(kind: str, said: str, place: Sequence[str | int], model: type[BaseModel]) -> str:
    if kind in ("extra_forbidden", "missing") and (around := _model_at(model, place[:-1])) is not None:
        members = {field.alias or name: field for name, field in around.model_fields.items()}
        name = str(place[-1])
        if kind == "extra_forbidden":
            return choose(name, members, "a member here").removeprefix(f"{name!r} ")
        choices = _literals(members[name].annotation) if name in members else []
        return f"is missing; it is one of {', '.join(choices)}" if choices else "is missing"
    return _SENTENCES.get(kind) or said.removeprefix("Value error, ")


def _model_at(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel] | None:
    """The model to which the members at a place belong; None where the declaration may be one thing or another."""
    for part in place:
        if isinstance(part, int):  # the list was looked into already
            continue
        names = {field.alias or name: field for name, field in model.model_fields.items()}
        models = _models(names[part].annotation) if part in names else []
        if len(models) != 1:
            return None
        [model] = models
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [each for part in get_args(annotation) for each in _models(part)]


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(each) for each in get_args(annotation)]
    return []

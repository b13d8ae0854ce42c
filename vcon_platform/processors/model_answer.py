"""What a language model answered: whether it is an answer at all, as JSON, and whether that has the form asked for.

Belongs here: completion objects, code fences, JSON Schemas. Not here: asking, and asking once more
(``model_question.py``).

A fault is told in two ways: to the model, with its own words, so that it can mend them; and to people, without, for
they are about what somebody said.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator

from vcon_platform.processors.base import PermanentError

_FENCE = re.compile(r"\s*```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?```\s*", re.DOTALL)
_BLOCK = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\r?\n?```", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
"""What some models think before they answer, where their server leaves it in the answer."""
_SLOW = "an expression can take for ever"
_ELSEWHERE = "write it out, or use $defs"
_REFUSED: dict[str, tuple[type, str]] = {
    "pattern": (str, _SLOW),
    "patternProperties": (dict, _SLOW),
    **dict.fromkeys(("$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor"), (str, _ELSEWHERE)),
}
"""Keyword to the type of its value (a member of the answer may have that name) and why it is refused."""


class Malformed(Exception):
    """An answer that has not the form asked for. ``for_model``: what is wrong, with its words; ``for_people``: without
    any word of the conversation."""

    def __init__(self, for_model: str, for_people: str) -> None:
        super().__init__(for_people)
        self.for_model, self.for_people = for_model, for_people


@dataclass(frozen=True, slots=True)
class Answer:
    """``value``: the JSON value where a schema was given, else ``text``; ``reply``: the last completion object;
    ``usage``: tokens of all calls that led to it; ``parts``: into how many the conversation was split; ``repaired``: it
    had to be asked for twice; ``truncated``: a text broke off at ``max_tokens``."""

    value: Any
    text: str
    reply: dict[str, Any]
    usage: dict[str, int]
    parts: int = 1
    repaired: bool = False
    truncated: bool = False

    def members(self) -> dict[str, Any]:
        """What an analysis says of how it came about: ``usage``, and ``parts``, ``repaired``, ``truncated`` where it is
        not the rule."""
        members: dict[str, Any] = {"usage": self.usage} if self.usage else {}
        if self.parts > 1:
            members["parts"] = self.parts
        if self.repaired:
            members["repaired"] = True
        if self.truncated:
            members["truncated"] = True
        return members


# --- completion objects ----------------------------------------------------------------------------------------


def choice(reply: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The first choice's message, and why it ended."""
    first: dict[str, Any] = next(iter(reply["choices"]), {})
    message = first.get("message")
    return message if isinstance(message, dict) else {}, str(first.get("finish_reason") or "")


def text_of(reply: Mapping[str, Any]) -> str:
    """What was answered, without what the model thought before; empty if nothing."""
    content = choice(reply)[0].get("content")
    if isinstance(content, list):  # some servers give it in pieces
        texts = [piece.get("text") for piece in content if isinstance(piece, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    if not isinstance(content, str):
        return ""
    thought = _THOUGHT.match(content)
    return content[thought.end() :] if thought else content


def tokens_of(reply: Mapping[str, Any]) -> dict[str, int]:
    """``prompt_tokens``, ``completion_tokens``, ``total_tokens``, as far as the service says."""
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        return {}
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: usage[name] for name in names if type(usage.get(name)) is int}


def check_ended(reply: Mapping[str, Any], model: str, most: int, *, whole: bool) -> None:
    """Raises PermanentError where the model declined, or its answer broke off and must be ``whole``."""
    message, ended = choice(reply)
    if ended == "content_filter" or (message.get("refusal") and not message.get("content")):
        raise PermanentError(f"model {model} declined to answer; change the prompt or the model and re-execute")
    if ended == "length" and (whole or not message.get("content")):
        raise PermanentError(
            f"/max_tokens: the answer was cut off at {most} tokens, so that it is of no use; raise it and re-execute"
        )


# --- JSON ------------------------------------------------------------------------------------------------------


def fenced(text: str) -> bool:
    """True for a text that is one code block."""
    return _FENCE.fullmatch(text) is not None


def unfenced(text: str) -> str:
    """The text without a code fence around it, where there is one."""
    found = _FENCE.fullmatch(text)
    return found[1] if found else text


def json_in(text: str) -> Any:
    """The JSON value that a text is, or that the one code block in it is. Raises :class:`Malformed`."""
    try:
        return orjson.loads(unfenced(text))
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        blocks = _BLOCK.findall(text)
        if len(blocks) == 1:
            with contextlib.suppress(orjson.JSONDecodeError, UnicodeEncodeError):
                return orjson.loads(blocks[0])
        raise Malformed(f"it is no JSON ({error})", f"it is no JSON ({look(text)})") from None


def look(text: str) -> str:
    """What a text looks like, without its words."""
    start = text.lstrip()[:1]
    kind = {"{": "an object that breaks off or has a fault", "[": "a list that breaks off or has a fault"}.get(start)
    return f"{len(text)} characters, {kind or ('prose' if start else 'nothing but blanks')}"


# --- JSON Schemas ----------------------------------------------------------------------------------------------


def check_schema(value: Any, schema: Mapping[str, Any]) -> None:
    """Raises :class:`Malformed` where the value does not meet the schema. Nothing is fetched."""
    import jsonschema
    from referencing import Registry

    # an empty registry: a $ref to elsewhere would be downloaded otherwise
    validator = jsonschema.Draft202012Validator(dict(schema), registry=Registry())
    try:
        fault = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except RecursionError:
        raise Malformed("it is nested too deeply", "it is nested too deeply") from None
    if fault is None:
        return
    names = set(_property_names(schema))
    place = "".join(f"/{part if isinstance(part, int) or part in names else '*'}" for part in fault.absolute_path)
    rule = f"{fault.validator}: {orjson.dumps(fault.validator_value, default=str).decode()}"
    raise Malformed(
        f"{fault.json_path} is wrong: {fault.message[:500]}",
        f"{place or 'the whole of it'} does not meet {rule if len(rule) < 200 else fault.validator}",
    )


def is_strict(schema: Mapping[str, Any]) -> bool:
    """True if OpenAI takes the schema for its strict mode: the root is an object, every object has all its members
    and no others."""
    return schema.get("type") == "object" and all(_closed(node) for node in _nodes(schema))


def _closed(node: Mapping[str, Any]) -> bool:
    if node.get("type") != "object" and "properties" not in node:
        return True
    members, required = node.get("properties"), node.get("required")
    return (
        node.get("additionalProperties") is False
        and isinstance(members, dict)
        and isinstance(required, list)
        and set(required) == set(members)
    )


def _checked(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    import jsonschema

    if len(orjson.dumps(schema)) > 100_000:
        raise ValueError("is larger than 100,000 bytes")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"is no JSON Schema: {error.json_path}: {error.message[:200]}") from None
    for node in _nodes(schema):
        if isinstance(found := node.get("$ref"), str) and not _is_in(schema, found):
            raise ValueError("may refer to parts of its own only, as {'$ref': '#/$defs/NAME'}")
        for name, (kind, why) in _REFUSED.items():
            if isinstance(node.get(name), kind):
                raise ValueError(  # noqa: TRY004 - pydantic tells of these only
                    f"may not hold {name!r}: {why}"
                )
    return schema


AnswerSchema = Annotated[dict[str, Any] | None, AfterValidator(_checked)]
"""The type of an option that is a JSON Schema written by a definition's author."""


def _is_in(schema: Any, reference: str) -> bool:
    """True if a ``#/a/b`` leads to an object of the schema."""
    start, *path = reference.split("/")
    for part in path:
        schema = schema.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(schema, dict) else None
    return start == "#" and bool(path) and isinstance(schema, dict)


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within a schema: schemas, and what holds them by name."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _property_names(schema: Any) -> Iterator[str]:
    for node in _nodes(schema):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]

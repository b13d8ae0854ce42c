"""jq in a declaration: the filter of its source, the elements of its grain, the values of its columns.

Belongs here: what such a filter is given, and what its faults become. Not here: how a stranger's filter is run
(``jq_child.py``), what rows are made of (``building.py``).

``.`` is always the conversation (:func:`~.bare.bare_document`), whatever the grain, so that one filter reads alike in
every declaration. ``$element`` is the row's element, ``$position`` its number from 0, ``$outcome`` how the pipeline
ended ({pipeline, pipeline_version, verdict, reason, processor}). All filters of a projection go to the child in one
question.

A filter that fails on one element costs that row its place in the table and no other: documents come from many makers,
and the row is told by uuid and column where it would have landed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vcon_platform.jq_child import JqError, fault_in, shared_child
from vcon_platform.projections.values import without_nul

_LINE = re.compile(r"\bline (\d+)")
_CONVERSATION = ". as {$vcon, $elements, $outcome} | "


class Failed:
    """In a value's place: its filter failed on this conversation."""


FAILED = Failed()


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers. ``where``: whether the conversation has rows; ``elements``: those of the grain; ``columns``: per
    column a value for each element."""

    where: bool | Failed
    elements: list[Any] | Failed
    columns: Mapping[str, Sequence[Any]]


def fault_of(program: str, *, of_element: bool) -> str | None:
    """Why this is no jq filter here, or None. ``of_element``: it may use ``$element`` and ``$position``."""
    known = "null as $element | 0 as $position | " if of_element else ""
    fault = fault_in(f"null as $outcome | {known}(\n{program}\n)")
    if fault is None:
        return None
    return _LINE.sub(lambda found: f"line {max(1, int(found[1]) - 1)}", fault)


def ask(
    document: Mapping[str, Any],
    outcome: Mapping[str, Any],
    elements: Sequence[Any],
    *,
    where: str,
    each: str,
    columns: Mapping[str, str],
) -> Asked:
    """The answers of these filters to a conversation; a filter that is empty is not asked. ``each`` gives the elements
    in place of ``elements``. Never raises."""
    if not (where or each or columns):
        return Asked(True, list(elements), {})
    programs = [_where(where)] if where else []
    programs += [_each(each)] if each else []
    programs += [_column(program, each) for program in columns.values()]
    try:
        given = {"vcon": document, "elements": elements, "outcome": outcome}
        answers = shared_child().first(programs, given)
    except (JqError, TypeError):  # it took too long or too much, its process was killed; or the document is no JSON
        return Asked(
            FAILED if where else True,
            FAILED if each else list(elements),
            {name: [FAILED] * len(elements) for name in columns},
        )
    rest = iter(answers)
    decided = _value(next(rest)) if where else True
    found = _value(next(rest)) if each else list(elements)
    return Asked(decided, found, {name: [_value(answer) for answer in next(rest) or ()] for name in columns})


def _value(answer: Mapping[str, Any] | None) -> Any:
    if answer is None or "v" not in answer:  # None: the filter halted
        return FAILED
    value = answer["v"]
    try:
        orjson.dumps(value)  # a number beyond 64 bits, half a surrogate pair, deeper than anything may be carried
    except TypeError:
        return FAILED
    return without_nul(value)


def _where(program: str) -> str:
    decided = f"[limit(1; (\n{program}\n))][0] | if . then true else false end"
    return f"{_CONVERSATION}$vcon | try {{v: ({decided})}} catch {{}}"


def _each(program: str) -> str:
    return f"{_CONVERSATION}$vcon | try {{v: [(\n{program}\n)]}} catch {{}}"


def _column(program: str, each: str) -> str:
    elements = f"(try ($vcon | [(\n{each}\n)]) catch []) as $elements | " if each else ""
    element = "range($elements | length) as $position | $elements[$position] as $element"
    value = f"try {{v: ([limit(1; (\n{program}\n))][0])}} catch {{}}"
    return f"{_CONVERSATION}{elements}[{element} | $vcon | {value}]"

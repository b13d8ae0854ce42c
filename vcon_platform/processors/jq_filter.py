"""The processor ``jq_filter``: lets a conversation go on if a jq filter says so; the conserver's ``jq_link``.

Belongs here: what the filter is given, what its answer means. Not here: how a stranger's filter is run
(``jq_child.py``), answers that are kept as parameters (``jq_query.py``).

The conserver's links write bodies that are JSON as texts that hold JSON, so filters that were written for one may ask
for texts (``contains``, ``test``, ``fromjson``); here a JSON body is the value itself. ``bodies`` says which is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.jq_child import JqError, fault_in, shared_child
from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.filters import FilterOptions, decide


def _compiles(program: str) -> str:
    if fault := fault_in(program):
        raise ValueError(fault)
    return program


class JqFilterOptions(FilterOptions):
    """What ``jq_filter`` can be told."""

    filter: Annotated[str, AfterValidator(_compiles)] = Field(
        default=".",
        min_length=1,
        max_length=20_000,
        title="Filter",
        description="jq filter. A conversation matches if its first output is neither false nor null.",
    )
    forward_matches: bool = Field(
        default=True,
        title="Forward matches",
        description="True: conversations that match go on; false: the others do.",
    )
    given: Literal["vcon", "all"] = Field(
        default="vcon",
        title="Given",
        description="What the filter is given. vcon: the vCon; all: {vcons: [...], parameters: {...}}, as jq is.",
    )
    bodies: Literal["values", "texts", "either"] = Field(
        default="values",
        title="Bodies",
        description="How bodies that are JSON are given. values: as JSON; texts: as a text that holds JSON, as a "
        "conserver's links write them; either: as values, and again as texts where the filter fails on those.",
    )
    reason: str = Field(
        default="",
        max_length=200,
        title="Reason",
        description="What ledger and tables say of a conversation that does not pass. No personal data.",
    )


class JqFilter(Processor[JqFilterOptions]):
    """A filter in jq."""

    name = "jq_filter"
    version = "1.0.0"
    title = "Filter with jq"
    description = (
        "Goes on only with conversations of which a jq filter holds, or only with the others. Sets the parameter "
        "jq_filter_passed."
    )
    effects = Effects(may_drop=True)
    options = JqFilterOptions

    def process(self, io: ProcessorIO, options: JqFilterOptions) -> ProcessorIO:
        """Raises PermanentError where the filter fails: a fault is no verdict."""
        matches = _matches(io, options)
        reason = "the jq filter holds of it" if matches else "the jq filter does not hold of it"
        return decide(io, self, options, passes=matches is options.forward_matches, reason=options.reason or reason)


def _matches(io: ProcessorIO, options: JqFilterOptions) -> bool:
    fault: JqError | None = None
    for as_texts in {"values": (False,), "texts": (True,), "either": (False, True)}[options.bodies]:
        try:
            found = shared_child().first(
                [options.filter], _question(io, options, as_texts=as_texts), seconds=io.context.remaining()
            )
        except JqError as error:
            fault = fault or error
        else:
            return found[0] is not None and found[0] is not False
    raise PermanentError(f"/filter: {fault}; mend the filter, or the vCon, and re-execute")


def _question(io: ProcessorIO, options: JqFilterOptions, *, as_texts: bool) -> Any:
    if options.given == "vcon":
        return _with_texts(io.vcon.data) if as_texts else io.vcon.data
    vcons = [_with_texts(vcon.data) if as_texts else vcon.data for vcon in io.vcons]
    return {"vcons": vcons, "parameters": io.parameters}


def _with_texts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The document with analyses and attachments as a conserver's links write them."""
    return {
        **data,
        **{name: [_entry(each) for each in data[name]] for name in _ARRAYS if isinstance(data.get(name), list)},
    }


_ARRAYS = ("analysis", "attachments")


def _entry(entry: Any) -> Any:
    body = entry.get("body") if isinstance(entry, dict) else None
    if not isinstance(body, dict | list):
        return entry
    return {**entry, "body": orjson.dumps(body).decode(), "encoding": "json"}

"""What all filters have in common: what becomes of a conversation that does not pass.

Belongs here: the options and the verdict. Not here: what any one filter looks at (``keyword_filter.py``,
``jq_filter.py``, ``sampler.py``).

A filter ends a conversation's way, with a reason that ledger and tables show; it never fails one. What it cannot decide
is an error, never a verdict: a conversation that vanishes because a filter has a fault is lost without a trace.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions


class FilterOptions(ProcessorOptions):
    """Subclass it."""

    otherwise: Literal["filter", "go_on"] = Field(
        default="filter",
        title="Otherwise",
        description="What becomes of a conversation that does not pass. filter: its way ends here; go_on: it goes on, "
        "and only the parameter says so, for should_process of later processors.",
    )
    passed: str = Field(
        default="",
        max_length=100,
        pattern=r"^[A-Za-z0-9_ -]*$",
        title="Parameter",
        description="Name of the parameter that becomes true or false; empty: the processor's name and _passed. Use it "
        "in format_options: {should_process: '{keyword_filter_passed}'}.",
    )


def decide(
    io: ProcessorIO,
    processor: Processor[Any],
    options: FilterOptions,
    *,
    passes: bool,
    reason: str,
) -> ProcessorIO:
    """Set the parameter, and end the conversation's way where it does not pass. ``reason``: why it does not, without
    personal data."""
    io.parameters[options.passed or f"{processor.name}_passed"] = passes
    if not passes and options.otherwise == "filter":
        io.drop(reason)
    return io

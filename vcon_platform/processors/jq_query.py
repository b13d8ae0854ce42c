"""The processor ``jq``: asks the conversation questions, and keeps the answers as parameters.

Belongs here: what is asked, and what becomes of the answers. Not here: how a stranger's filter is run
(``jq_child.py``).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from vcon_platform.jq_child import JqError, fault_in, shared_child
from vcon_platform.processors.base import PermanentError, Processor, ProcessorIO, ProcessorOptions


class JqOptions(ProcessorOptions):
    """What ``jq`` can be told."""

    jq_queries: dict[str, str] = Field(
        default_factory=dict,
        max_length=200,
        title="Queries",
        description="Parameter to jq filter. Each filter is given {vcons: [...], parameters: {...}}; its first output "
        "becomes the parameter, null if it has none.",
    )

    @field_validator("jq_queries")
    @classmethod
    def _compile(cls, queries: dict[str, str]) -> dict[str, str]:
        faults = [f"{name}: {fault}" for name, query in queries.items() if (fault := fault_in(query))]
        if faults:
            raise ValueError("; ".join(faults))
        return queries


class JqQuery(Processor[JqOptions]):
    """Questions to the conversation."""

    name = "jq"
    version = "1.0.0"
    title = "Query with jq"
    description = (
        "Runs jq filters on the conversation's vCons and parameters and keeps the first output of each as a parameter."
    )
    options = JqOptions

    def process(self, io: ProcessorIO, options: JqOptions) -> ProcessorIO:
        """Raises PermanentError naming the query that fails; then no parameter is set. All are asked of the same
        input: none sees another's answer."""
        if not options.jq_queries:
            return io
        question = {"vcons": [vcon.data for vcon in io.vcons], "parameters": io.parameters}
        names = list(options.jq_queries)
        try:
            answers = shared_child().first(list(options.jq_queries.values()), question, seconds=io.context.remaining())
        except JqError as error:
            place = f"/jq_queries/{names[error.position]}"
            raise PermanentError(f"{place}: {error}; mend the query, or the vCon, and re-execute") from None
        found: dict[str, Any] = dict(zip(names, answers, strict=True))
        io.parameters.update(found)
        return io

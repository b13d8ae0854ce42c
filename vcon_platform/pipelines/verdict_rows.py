"""Rows that follow from how a conversation ended, and telling the store which rows a commit changes.

Two kinds of projections (``Projection.rows``): ``processor`` rows are written by the processor *projection* on the
way; ``conversation`` rows are written here for every conversation, whatever its verdict. If a conversation no longer
reaches the processor that once wrote its row (the word list was changed, it is filtered now), the row is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vcon_platform.pipelines.batch import Verdict
from vcon_platform.pipelines.definition import Definition
from vcon_platform.processors.projection import ProjectionProcessor
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import PURPOSE, build_rows, find_rows, put_rows, rows_of, withdraw_rows
from vcon_platform.store.commits import RowMark
from vcon_platform.vcon.document import Append, Put, Vcon


class RowWriter:
    """Writes and withdraws the rows of a pipeline's projections."""

    def __init__(self, projections: Mapping[str, Projection]) -> None:
        self._projections = projections

    def write(self, definition: Definition, vcon: Vcon, verdict: Verdict) -> None:
        """Bring the vCon's rows in line with how its job ended; a job that goes on later has not ended."""
        if verdict.ending == "again" or verdict.ending == "retried":  # mypy knows the rest
            return
        if vcon.data.keys() <= {"uuid", "created_at", "attachments"}:  # encrypted, and nobody here can read it
            return
        outcome = Outcome(
            pipeline=definition.name,
            pipeline_version=definition.version,
            verdict=verdict.ending,
            reason=verdict.reason,
            processor=verdict.processor,
        )
        for projection in self._projections.values():
            if definition.name not in projection.pipelines:
                continue
            if projection.rows == "conversation":
                put_rows(vcon, build_rows(projection, vcon, outcome), projection, outcome)
            elif verdict.ending == "filtered" and all(mark.projection != projection.name for mark in row_marks(vcon)):
                withdraw_rows(vcon, projection.name)

    def marks(self, definition: Definition, vcon: Vcon, verdict: Verdict) -> list[RowMark]:
        """The rows that a commit of this vCon tells the store of: those that its changes write or withdraw, and those
        that this pipeline found there just as it would have written them. A vCon may arrive with its row (an import
        from another platform), and the store knows nothing of it yet; telling it again changes nothing."""
        marks = {mark.projection: mark for mark in row_marks(vcon)}
        for name in self._visited(definition, verdict):
            if name not in marks and (rows := find_rows(vcon, name)) is not None:
                marks[name] = RowMark(name, rows.day, vcon.uuid, rows.hash)
        return list(marks.values())

    def _visited(self, definition: Definition, verdict: Verdict) -> Iterator[str]:
        """The projections whose rows were made or compared on the way to this verdict."""
        for projection in self._projections.values():
            if definition.name in projection.pipelines and projection.rows == "conversation":
                yield projection.name
        if verdict.ending == "done":
            for step in definition.steps:
                if step.processor is ProjectionProcessor and step.options.should_process:
                    yield step.options.projection  # type: ignore[attr-defined]  # its options have it


def row_marks(vcon: Vcon) -> list[RowMark]:
    """The rows that the vCon's pending changes write or withdraw (hash ""), the last word on each. A vCon that was
    given another form here has its earlier changes within it, so all that it carries are told."""
    marks: dict[str, RowMark] = {}
    if vcon.reformed and vcon.envelope is not None:
        marks = {name: RowMark(name, day, vcon.uuid, "") for name, day in vcon.envelope.withdrawn}
        for name, day, digest in rows_of(vcon.data):
            marks[name] = RowMark(name, day, vcon.uuid, digest)
    for change in vcon.changes:
        match change:
            case Append("attachments", attachment) | Put("attachments", _, attachment) if (
                attachment.get("purpose") == PURPOSE
            ):
                body: dict[str, Any] = attachment["body"]
                marks[body["projection"]] = RowMark(body["projection"], body["day"], vcon.uuid, body["hash"])
            case _:
                pass
    return list(marks.values())

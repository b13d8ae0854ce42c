"""Rows that follow from how a conversation ended, and telling the store which rows a commit changes.

Two kinds of projections (``Projection.rows``): ``processor`` rows are written by the processor *projection* on the
way; ``conversation`` rows are written here for every conversation, whatever its verdict. If a conversation no longer
reaches the processor that once wrote its row (the word list was changed, it is filtered now), the row is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping

from vcon_platform.pipelines.batch import Verdict
from vcon_platform.pipelines.definition import Definition
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import PURPOSE, build_row, put_row, row_from_attachment, withdraw_row
from vcon_platform.store.documents import RowMark
from vcon_platform.vcon.document import Append, Put, Vcon


class RowWriter:
    """Writes and withdraws the rows of a pipeline's projections."""

    def __init__(self, projections: Mapping[str, Projection]) -> None:
        self._projections = projections

    def write(self, definition: Definition, vcon: Vcon, verdict: Verdict) -> None:
        """Bring the vCon's rows in line with how its job ended."""
        if verdict.ending == "again":
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
                put_row(vcon, build_row(projection, vcon, outcome), projection)
            elif verdict.ending == "filtered" and not _written_now(vcon, projection.name):
                withdraw_row(vcon, projection)


def _written_now(vcon: Vcon, projection: str) -> bool:
    return any(mark.projection == projection for mark in row_marks(vcon))


def row_marks(vcon: Vcon) -> list[RowMark]:
    """The rows that the vCon's pending changes write or withdraw, the last word on each."""
    marks: dict[str, RowMark] = {}
    for change in vcon.changes:
        match change:
            case Append("attachments", value) | Put("attachments", _, value) if value.get("purpose") == PURPOSE:
                row = row_from_attachment(value, vcon.uuid)
                if row is not None:
                    marks[row.projection] = RowMark(row.projection, row.day, vcon.uuid, row.hash)
            case _:
                pass
    return list(marks.values())

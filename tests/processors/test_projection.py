"""``projection``: the row travels in the vCon, once per projection."""

import pytest

from tests.processors.support import document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.projection import ProjectionOptions, ProjectionProcessor
from vcon_platform.processors.testing import processor_tests
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import find_rows

RECALLS = Projection.model_validate(
    {
        "name": "recalls",
        "pipelines": ["recall"],
        "rows": "processor",
        "columns": [
            {"name": "uuid", "type": "text", "from": "uuid"},
            {"name": "transcript", "type": "text", "from": "transcript.text"},
            {"name": "pipeline", "type": "text", "from": "pipeline"},
        ],
        "destinations": [{"postgres": {"table": "recalls"}}],
    }
)


def call(created_at: str = "2026-09-01T12:00:00Z") -> ProcessorIO:
    dialog = [{"type": "text", "body": "About the recall.", "start": "2026-09-01T12:00:00Z"}]
    return io_of(document(dialog=dialog, created_at=created_at), projections={"recalls": RECALLS})


def run(io: ProcessorIO, projection: str = "recalls") -> ProcessorIO:
    return ProjectionProcessor().process(io, ProjectionOptions(projection=projection))


TestProjectionStandard = processor_tests(
    ProjectionProcessor,
    example_io=call,
    failing_io=lambda: call(created_at="yesterday"),
    options={"projection": "recalls"},
)


def test_the_row_is_written_into_the_vcon() -> None:
    io = run(call())
    row = find_rows(io.vcon, "recalls")
    assert row is not None
    assert row.rows[0]["transcript"] == "About the recall."
    assert row.rows[0]["pipeline"] == "recall"


def test_doing_it_again_changes_nothing() -> None:
    io = run(call())
    changes = list(io.vcon.changes)
    assert run(io).vcon.changes == changes


def test_an_unknown_projection_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(PermanentError, match=r"no projection 'recals'; did you mean recalls\? declared are: recalls"):
        run(call(), "recals")


def test_a_row_that_cannot_be_built_is_a_permanent_error() -> None:
    with pytest.raises(PermanentError, match="created_at"):
        run(call(created_at="yesterday"))


def test_a_conversation_that_the_projection_leaves_out_has_no_rows_and_goes_on() -> None:
    narrowed = Projection.model_validate(
        {**RECALLS.model_dump(by_alias=True), "source": {"pipelines": ["recall"], "where": ".subject"}}
    )
    io = run(io_of(call().vcon.data, projections={"recalls": narrowed}))
    assert find_rows(io.vcon, "recalls") is None
    assert io.vcon.changes == []

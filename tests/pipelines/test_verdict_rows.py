"""Rows that follow from how a conversation ended: of every grain, and withdrawn where there are none any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis import Redis

from tests.pipelines.support import definition, engine, stored
from vcon_platform.pipelines.engine import Engine
from vcon_platform.projections.model import Projection
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon

DAY = ["2026-11-02"]


def declared(name: str, grain: Any = "analysis", **source: Any) -> Projection:
    return Projection.model_validate(
        {
            "name": name,
            "source": {"pipelines": ["recall"], **source},
            "rows": "conversation",
            "grain": grain,
            "columns": [
                {"name": "uuid", "type": "text", "from": "uuid"},
                {"name": "position", "type": "integer", "from": "position"},
                {"name": "kind", "type": "text", "jq": "$element.type"},
            ],
            "destinations": [{"postgres": {"table": name}}],
        }
    )


def run(work: Engine, name: str) -> None:
    pipeline = definition("mark", "judge")
    batch = work.open(pipeline, batch_id=name, owner=name, limit=100)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    work.settle(pipeline, batch)


def carried(work: Engine, uuid: str) -> dict[str, int]:
    [(_, bodies)] = work.documents.attachment_bodies([uuid], "projection")
    return {body["projection"]: len(body["rows"]) for body in bodies}


def test_a_conversation_has_a_row_for_each_element_and_none_where_there_is_none(
    redis_client: Redis, tmp_path: Path
) -> None:
    projections = {"analyses": declared("analyses"), "tags": declared("tags", "tag")}
    work = engine(redis_client, tmp_path, projections)
    marked, failed = stored(work, "x", "permanent")
    run(work, "run-1")
    index = RowIndex(redis_client)
    assert list(index.rows("analyses", DAY)) == [marked]  # a failed one keeps nothing of what was added on the way
    assert index.rows("analyses", DAY)[marked].endswith("-1")
    assert index.rows("tags", DAY) == {}
    assert carried(work, marked) == {"analyses": 1}
    assert carried(work, failed) == {}


def test_the_second_time_there_are_more_rows_in_the_same_place(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, {"analyses": declared("analyses")})
    [uuid] = stored(work, "x")
    run(work, "run-1")
    work.queues.push("recall", [uuid])
    run(work, "run-2")
    assert carried(work, uuid) == {"analyses": 2}
    assert RowIndex(redis_client).rows("analyses", DAY)[uuid].endswith("-2")


def test_rows_are_withdrawn_when_the_source_leaves_the_conversation_out(redis_client: Redis, tmp_path: Path) -> None:
    once = declared("analyses", where="(.analysis | length) < 2")
    work = engine(redis_client, tmp_path, {"analyses": once})
    [uuid] = stored(work, "x")
    run(work, "run-1")
    assert list(RowIndex(redis_client).rows("analyses", DAY)) == [uuid]
    work.queues.push("recall", [uuid])
    run(work, "run-2")
    assert RowIndex(redis_client).rows("analyses", DAY) == {}
    assert carried(work, uuid) == {"analyses": 0}


def test_a_filter_that_fails_harms_neither_the_job_nor_the_other_projections(
    redis_client: Redis, tmp_path: Path
) -> None:
    bad = declared("bad", {"each": ".subject | tonumber"})
    work = engine(redis_client, tmp_path, {"bad": bad, "good": declared("good")})
    [uuid] = stored(work, "x")
    run(work, "run-1")
    assert carried(work, uuid) == {"bad": 1, "good": 1}
    assert isinstance(work.documents.read_one(uuid), Vcon)
    assert work.queues.dead("recall") == []

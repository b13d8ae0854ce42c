"""kill -9 of a run's process in the middle of its batch: every call still becomes exactly one row."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from tests.e2e.platform import PATIENCE, Platform
from tests.support import eventually
from vcon_platform.demo.samples import archived_calls
from vcon_platform.ledger.events import EventKind

pytestmark = pytest.mark.e2e


def test_every_call_becomes_exactly_one_row_when_the_run_is_killed(platform: Platform) -> None:
    calls = archived_calls(date(2026, 9, 15), 20)
    for key in platform.redis.keys("result:*"):  # nothing was heard yet, so the batch takes seconds
        platform.redis.delete(key)
    uuids = platform.end_calls(calls)
    eventually(lambda: platform.redis.keys("result:*"), PATIENCE, 0.02, "the first recording of the batch is heard")
    platform.run_worker().kill()
    verdicts = platform.until_landed(uuids)
    assert verdicts == {call.vcon_uuid(): {"recall": "done", "filtered": "filtered"}[call.verdict] for call in calls}
    recalls = [row["uuid"] for row in platform.rows("recalls", uuids)]
    assert sorted(recalls) == sorted(call.vcon_uuid() for call in calls if call.verdict == "recall")
    for call in calls:
        vcon = platform.documents.read_one(call.vcon_uuid())
        assert len(vcon.analysis) == (1 if call.audio else 0)
        kinds = Counter(platform.kinds(call.vcon_uuid()))
        assert kinds[EventKind.DONE] + kinds[EventKind.FILTERED] == 1
    assert any(run.status == "FAILURE" for run in platform.pipeline_runs())
    assert not {dead.job.vcon_uuids[0] for dead in platform.queues.dead("recall")} & set(uuids)
    assert platform.redis.keys("batch:*") == []

"""Thirty days of the switch's archive, fetched twice: each call exactly one row, nothing bought or done twice."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.e2e.platform import PATIENCE, Platform
from tests.support import eventually
from vcon_platform.demo.samples import archived_calls, write_archive

pytestmark = pytest.mark.e2e

DAYS = [date(2026, 10, 1) + timedelta(days=number) for number in range(30)]
CALLS = 4


def test_a_range_of_days_is_captured_once_however_often_it_is_fetched(platform: Platform) -> None:
    assert write_archive(platform.archive, DAYS, CALLS) == 120
    calls = [call for day in DAYS for call in archived_calls(day, CALLS)]
    uuids = [call.vcon_uuid() for call in calls]
    backfill = platform.dagster.backfill([["sources", "freeswitch_history"]], [day.isoformat() for day in DAYS])
    eventually(
        lambda: platform.dagster.backfill_status(backfill) == "COMPLETED_SUCCESS", PATIENCE, 1.0, "the backfill is done"
    )
    verdicts = platform.until_landed(uuids)
    assert verdicts == {call.vcon_uuid(): {"recall": "done", "filtered": "filtered"}[call.verdict] for call in calls}
    spoken = sorted(call.vcon_uuid() for call in calls if call.verdict == "recall")
    eventually(
        lambda: sorted(row["uuid"] for row in platform.rows("recalls", uuids)) == spoken,
        PATIENCE,
        0.5,
        "all in recalls",
    )

    revisions = {uuid: vcon.revision for uuid, vcon in platform.documents.read(uuids).items()}
    bought = sorted(platform.redis.keys("result:*"))
    runs = len(platform.pipeline_runs())
    again = platform.cli("backfill", "freeswitch", "--from", "2026-10-01", "--to", "2026-10-30")
    assert again.returncode == 0, again.stdout + again.stderr
    assert {uuid: vcon.revision for uuid, vcon in platform.documents.read(uuids).items()} == revisions
    assert sorted(platform.redis.keys("result:*")) == bought
    assert platform.queues.depth("recall") == 0
    assert len(platform.pipeline_runs()) == runs
    assert len(platform.rows("calls", uuids)) == 120

"""Reprocessing days from the command line, over the real daemon: one run queues them, each goes through once more."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from tests.e2e.platform import PATIENCE, Platform
from tests.support import eventually
from vcon_platform.demo.samples import archived_calls
from vcon_platform.ledger.events import EventKind

pytestmark = pytest.mark.e2e

DAY = date(2026, 9, 21)


def _endings(platform: Platform, uuid: str) -> int:
    kinds = Counter(platform.kinds(uuid))
    return kinds[EventKind.DONE] + kinds[EventKind.FILTERED]


def test_days_are_reprocessed_once_and_only_if_they_must(platform: Platform) -> None:
    uuids = platform.end_calls(archived_calls(DAY, 4))
    platform.until_landed(uuids)
    days = ("--from", DAY.isoformat(), "--to", "2026-09-23")
    told = platform.cli("reprocess", "recall", *days)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "COMPLETED_SUCCESS" in told.stdout
    assert [_endings(platform, uuid) for uuid in uuids] == [1] * 4, "their results are of the present version"
    told = platform.cli("reprocess", "recall", *days, "--force")
    assert "COMPLETED_SUCCESS" in told.stdout, told.stdout + told.stderr
    eventually(lambda: all(_endings(platform, uuid) == 2 for uuid in uuids), PATIENCE, 0.5, "each came to an end again")
    assert len({run.id for run in platform.dagster.runs({"dagster/backfill": _backfill(told.stdout)})}) == 1
    by = {event.detail.get("by") for event in platform.story(uuids[0]) if event.event is EventKind.QUEUED}
    assert by == {f"reprocess:{_backfill(told.stdout)}"}


def _backfill(output: str) -> str:
    return output.partition("Reprocessing ")[2].split()[0]

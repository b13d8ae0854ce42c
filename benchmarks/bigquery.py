"""How quickly rows get into BigQuery, as far as an emulator can tell.

    python benchmarks/bigquery.py [--conversations N] [--days N]

One row per conversation with eleven columns and a transcript of 600 characters. The landing's way: ``reconcile`` over
what the table holds, in steps of 2,000 conversations, by Google's own client over HTTP, into the emulator of the tests.
Prints one JSON object: rows per second (also of this process's own processor time), seconds to land again with nothing
changed and with 1 % changed, and what a session told. The emulator's speed is not Google's: what counts is how the work
is cut (jobs, bytes).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from postgres import CALLS, _call

from tests.fakes.bigquery import bigquery
from vcon_platform.projections.destination import Connections
from vcon_platform.projections.destinations.bigquery.destination import BigQueryDestination
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed, reconcile
from vcon_platform.projections.rows import RowSet, set_hash
from vcon_platform.vcon.uuids import new_uuid

ADDRESS = "BIGQUERY_BENCHMARK_ENDPOINT"


def _declared() -> Projection:
    options = {"project": "benchmark", "dataset": "calls", "table": "calls", "endpoint": f"env:{ADDRESS}"}
    return CALLS.model_validate(CALLS.model_dump(by_alias=True) | {"destinations": [{"bigquery": options}]})


def _set(projection: Projection, uuid: str, day: str, draw: random.Random) -> RowSet:
    rows = [{"uuid": uuid, **_call(draw)}]
    return RowSet(uuid, day, tuple(rows), set_hash(projection, day, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=3)
    given = parser.parse_args()
    draw = random.Random(7)
    projection = _declared()
    days = [f"2026-03-{number + 1:02}" for number in range(given.days)]
    sets = {(uuid := new_uuid()): _set(projection, uuid, draw.choice(days), draw) for _ in range(given.conversations)}
    with tempfile.TemporaryDirectory() as folder, bigquery(Path(folder) / "log") as address:
        os.environ[ADDRESS] = address
        nothing: Any = None
        destination = BigQueryDestination.connect(projection, Connections(nothing, nothing, nothing, Path(folder)))

        def land() -> tuple[float, Landed]:
            began = time.monotonic()
            expected = {uuid: each.hash for uuid, each in sets.items()}
            landed = reconcile(projection, destination, days, expected, lambda uuids: [sets[uuid] for uuid in uuids])
            return time.monotonic() - began, landed

        cpu = time.process_time()
        first, landed = land()
        cpu = time.process_time() - cpu
        again, _ = land()
        for uuid in list(sets)[::100]:
            sets[uuid] = _set(projection, uuid, sets[uuid].day, draw)
        some, changed = land()
        assert len(landed.written) == given.conversations
        assert len(changed.written) == len(range(0, given.conversations, 100))
    told = {
        "rows": given.conversations,
        "rows_per_second": round(given.conversations / first),
        "seconds_nothing_changed": round(again, 2),
        "seconds_one_percent_changed": round(some, 2),
        "told": dict(landed.told),
        "rows_per_second_of_our_processor_time": round(given.conversations / cpu),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()

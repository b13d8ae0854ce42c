"""How quickly rows get into Postgres, beside a hand-written COPY of the same rows.

    python benchmarks/postgres.py [--conversations N] [--rows N] [--rounds N]

Two tables: one row per conversation with eleven columns and a transcript of 600 characters, and ten rows per
conversation (turns). The hand-written COPY goes in one transaction into a table of the same columns, primary key and
index on the day, from the same Python values, which it trusts to fit. Ours goes the landing's way: ``reconcile`` over
what the table holds, in steps of 2,000 conversations. Prints one JSON object: rows per second of each (the best of the
rounds, which take turns), their ratio, the same by CPU time of this process and the server's (which a busy machine
changes less), and seconds to land again with nothing changed and with 1 % changed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import psutil
from ledger import embedded_postgres
from sqlalchemy import create_engine, text

from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import reconcile
from vcon_platform.projections.rows import RowSet, set_hash
from vcon_platform.vcon.uuids import new_uuid

DAY = "2026-03-02"
WORDS = (
    "the",
    "recall",
    "of",
    "your",
    "car",
    "was",
    "said",
    "to",
    "be",
    "about",
    "a",
    "brake",
    "that",
    "we",
    "look",
    "at",
)


def _projection(name: str, key: Sequence[str], columns: Sequence[tuple[str, str, str]]) -> Projection:
    return Projection.model_validate(
        {
            "name": name,
            "pipelines": ["recall"],
            "rows": "conversation",
            "key": list(key),
            "columns": [{"name": name, "type": kind, "from": source} for name, kind, source in columns],
            "destinations": [{"postgres": {"table": name}}],
        }
    )


CALLS = _projection(
    "calls",
    ["uuid"],
    [
        ("uuid", "text", "uuid"),
        ("created_at", "timestamptz", "created_at"),
        ("started", "timestamptz", "start"),
        ("seconds", "numeric", "duration_seconds"),
        ("direction", "text", "direction"),
        ("agent", "text", "agent.name"),
        ("agent_tel", "text", "agent.tel"),
        ("customer", "text", "customer.name"),
        ("customer_tel", "text", "customer.tel"),
        ("transcript", "text", "transcript.text"),
        ("answered", "boolean", "disposition"),
    ],
)
TURNS = _projection(
    "turns",
    ["uuid", "position"],
    [
        ("uuid", "text", "uuid"),
        ("position", "integer", "duration_seconds"),
        ("speaker", "text", "agent.name"),
        ("said", "text", "transcript.text"),
        ("began", "numeric", "duration_seconds"),
    ],
)


def _words(number: int, draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=number))


def _call(draw: random.Random) -> dict[str, Any]:
    return {
        "created_at": f"{DAY}T{draw.randrange(24):02}:{draw.randrange(60):02}:00+00:00",
        "started": f"{DAY}T{draw.randrange(24):02}:{draw.randrange(60):02}:00+00:00",
        "seconds": draw.random() * 600,
        "direction": "inbound",
        "agent": "Ben Beispiel",
        "agent_tel": "+49301000",
        "customer": "Ada Kunde",
        "customer_tel": f"+4930{draw.randrange(10**7)}",
        "transcript": _words(130, draw),
        "answered": True,
    }


def _turns(number: int, draw: random.Random) -> list[dict[str, Any]]:
    return [
        {"position": place, "speaker": "Ada Kunde", "said": _words(15, draw), "began": place * 4.2}
        for place in range(number)
    ]


def _set(projection: Projection, rows: list[dict[str, Any]]) -> RowSet:
    uuid = new_uuid()
    full = [{"uuid": uuid, **row} for row in rows]
    return RowSet(uuid, DAY, tuple(full), set_hash(projection, DAY, full))


def by_hand(cursor: Any, projection: Projection, sets: Sequence[RowSet]) -> None:
    """What one writes for one table, once."""
    names = [column.name for column in projection.columns]
    lines = io.StringIO()
    csv.writer(lines).writerows(
        [*(row.get(name) for name in names), each.day, each.hash] for each in sets for row in each.rows
    )
    lines.seek(0)
    cursor.copy_expert(f"COPY by_hand ({','.join(names)},_day,_row_hash) FROM STDIN (FORMAT csv)", lines)


def _cpu() -> float:
    """CPU seconds of this process and of the server that it started, so far."""
    here = psutil.Process()
    return sum(
        times.user + times.system for times in (each.cpu_times() for each in (here, *here.children(recursive=True)))
    )


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and CPU seconds."""
    began, used = time.perf_counter(), _cpu()
    call()
    return time.perf_counter() - began, _cpu() - used


def measure(url: str, projection: Projection, sets: Sequence[RowSet], rounds: int) -> dict[str, float]:
    """Seconds and rows per second for one table."""
    engine = create_engine(url)
    destination = PostgresDestination(engine)
    table, rows = projection.name, sum(len(each.rows) for each in sets)
    by_uuid = {each.uuid: each for each in sets}

    def land() -> object:
        expected = {uuid: each.hash for uuid, each in by_uuid.items()}
        return reconcile(projection, destination, [DAY], expected, lambda uuids: [by_uuid[uuid] for uuid in uuids])

    def run(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement))

    def copy() -> None:
        raw = engine.raw_connection()
        by_hand(raw.cursor(), projection, sets)
        raw.commit()
        raw.close()

    ours, hand = [], []
    for _ in range(rounds):
        run(f"DROP TABLE IF EXISTS {table}, by_hand")
        destination.ensure(projection)
        run(f"CREATE TABLE by_hand (LIKE {table} INCLUDING ALL)")
        hand.append(_timed(copy))
        ours.append(_timed(land))
    again, _ = _timed(land)
    for uuid in list(by_uuid)[:: max(1, len(by_uuid) // (len(by_uuid) // 100 or 1))]:
        each = by_uuid[uuid]
        changed = [{**row, "uuid": uuid} for row in each.rows]
        changed[0] |= {"seconds": 1} if "seconds" in changed[0] else {"began": 1}
        by_uuid[uuid] = RowSet(uuid, DAY, tuple(changed), set_hash(projection, DAY, changed))
    some, _ = _timed(land)
    engine.dispose()
    return {
        "rows": rows,
        "by_hand_rows_per_second": round(rows / min(hand)[0]),
        "ours_rows_per_second": round(rows / min(ours)[0]),
        "ratio": round(min(hand)[0] / min(ours)[0], 2),
        "ratio_by_cpu": round(min(cpu for _, cpu in hand) / min(cpu for _, cpu in ours), 2),
        "again_seconds": round(again, 2),
        "one_percent_changed_seconds": round(some, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=10, help="rows per conversation of the second table")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    draw = random.Random(7)
    calls = [_set(CALLS, [_call(draw)]) for _ in range(given.conversations)]
    turns = [_set(TURNS, _turns(given.rows, draw)) for _ in range(given.conversations // given.rows)]
    with embedded_postgres() as url:
        print(
            json.dumps(
                {
                    "calls": measure(url, CALLS, calls, given.rounds),
                    "turns": measure(url, TURNS, turns, given.rounds),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()

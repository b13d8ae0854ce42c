"""How long a year's backfill of a table takes, and a sensor's tick on a big day.

    python -m benchmarks.landing [--conversations 100000] [--days 365] [--day 100000] [--changed 100]

A year: so many conversations, spread over its days, ended in a pipeline before their projection was declared. Landing
it makes their rows (document and outcome from the ledger to an attachment, committed to the store) and brings them into
Postgres. Then the year again, with nothing to do.

A tick: one day that holds ``--day`` conversations, of which ``--changed`` were changed; landed as the sensor's run does
it. The process and Dagster around it are not in these figures. Prints one JSON object of seconds.

    python -m benchmarks.landing --seed

fills the running platform (settings as usual) with a year of conversations that have no rows yet, for a backfill from
the Dagster UI, and prints their number.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import batched
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store
from ledger import embedded_postgres

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.store import Ledger
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.landing import LandedGroup, land
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.renewing import Renewal
from vcon_platform.projections.rows import build_rows, put_rows
from vcon_platform.settings import load_settings
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, NewVcon, RowMark
from vcon_platform.store.listing import Listing
from vcon_platform.store.opening import Store, open_store
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

FIRST = date(2025, 11, 24)
WORDS = (
    "the",
    "recall",
    "of",
    "toasters",
    "which",
    "I",
    "bought",
    "here",
    "is",
    "about",
    "a",
    "wire",
    "that",
    "gets",
    "hot",
)


def projection(name: str) -> Projection:
    """One row per conversation, with eight columns."""
    columns = {
        "uuid": ("text", "uuid"),
        "created_at": ("timestamptz", "created_at"),
        "seconds": ("numeric", "duration_seconds"),
        "agent": ("text", "agent.name"),
        "customer": ("text", "customer.tel"),
        "transcript": ("text", "transcript.text"),
        "verdict": ("text", "verdict"),
        "pipeline": ("text", "pipeline"),
    }
    return Projection.model_validate(
        {
            "name": name,
            "pipelines": ["recall"],
            "rows": "conversation",
            "columns": [{"name": key, "type": kind, "from": source} for key, (kind, source) in columns.items()],
            "destinations": [{"postgres": {"table": name}}],
        }
    )


def conversation(day: date, chosen: random.Random) -> Vcon:
    """A call of a minute with a transcript of sixty words."""
    at = f"{day.isoformat()}T{chosen.randrange(24):02}:{chosen.randrange(60):02}:00Z"
    said = " ".join(chosen.choices(WORDS, k=60))
    return Vcon(
        {
            "vcon": "0.4.0",
            "uuid": new_uuid(),
            "created_at": at,
            "parties": [
                {"name": "Ada Kunde", "tel": f"+1555{chosen.randrange(10**7):07}", "role": "customer"},
                {"name": "Ben Beispiel", "tel": "+15550100", "role": "agent"},
            ],
            "dialog": [{"type": "recording", "start": at, "duration": 60, "parties": [0, 1]}],
            "analysis": [
                {"type": "transcript", "dialog": 0, "vendor": "x", "encoding": "json", "body": {"transcript": said}}
            ],
            "attachments": [],
        }
    )


def conversations(number: int, days: int) -> Iterator[Vcon]:
    """So many, evenly over these days."""
    chosen = random.Random(7)
    for place in range(number):
        yield conversation(FIRST + timedelta(days=place * days // number), chosen)


def seed(store: Store, ledger: Ledger, vcons: Iterator[Vcon]) -> list[str]:
    """Store them, and let the ledger know that they ended; their uuids."""
    uuids: list[str] = []
    for some in batched(vcons, 2_000):
        done = [uuid for uuid, _ in store.documents.create(NewVcon(vcon) for vcon in some)]
        ledger.append(
            [
                LedgerEvent(vcon_uuid=uuid, event=EventKind.DONE, pipeline="recall", pipeline_version="0123456789ab")
                for uuid in done
            ]
        )
        uuids += done
    return uuids


def landing(store: Store, url: str, table: Projection, days: Sequence[str], *, complete: bool) -> list[LandedGroup]:
    """Land these days as a run does."""
    engine = create_engine(url)
    ledger = Ledger(engine)
    return list(
        land(
            table,
            PostgresDestination(engine),
            days,
            index=RowIndex(store.client),
            documents=store.documents,
            record=ledger.append,
            run_id=new_uuid(),
            renewal=Renewal(
                table,
                store.documents,
                Listing(store.client),
                lambda uuids: ledger.outcomes_of(table.pipelines, uuids),
            ),
            complete=complete,
        )
    )


def _timed(*arguments: Any, **rest: Any) -> tuple[float, dict[str, int]]:
    began = time.perf_counter()
    groups = landing(*arguments, **rest)
    figures = {
        "made": sum(group.renewed.made for group in groups),
        "written": sum(len(group.landed.written) for group in groups),
        "unchanged": sum(group.landed.unchanged for group in groups),
        "groups": len(groups),
    }
    return round(time.perf_counter() - began, 2), figures


def year(store: Store, url: str, number: int, days: int) -> dict[str, Any]:
    """Backfill a year, and land it again with nothing to do."""
    table = projection("year")
    began = time.perf_counter()
    seed(store, Ledger(url), conversations(number, days))
    found: dict[str, Any] = {"seeding": round(time.perf_counter() - began, 1)}
    wanted = [(FIRST + timedelta(days=place)).isoformat() for place in range(days)]
    seconds, figures = _timed(store, url, table, wanted, complete=True)
    found["year"] = {"seconds": seconds, **figures, "per_second": round(number / seconds)}
    seconds, figures = _timed(store, url, table, wanted, complete=True)
    found["again"] = {"seconds": seconds, **figures}
    rows = PostgresDestination(url).count(table)
    found["rows"] = sum(rows.values())
    found["days"] = len(rows)
    return found


def tick(store: Store, url: str, number: int, changed: int) -> dict[str, Any]:
    """A day that holds many conversations, of which some were changed. Those that were not have no documents: a tick
    reads none of them."""
    table = projection("big_day")
    outcome = Outcome("recall", "0123456789ab", "done")
    day = (FIRST + timedelta(days=400)).isoformat()
    chosen = random.Random(9)
    vcons = [conversation(date.fromisoformat(day), chosen) for _ in range(number)]
    sets = [build_rows(table, vcon, outcome) for vcon in vcons]
    store.client.hset(keys.rows(table.name, day), mapping={each.uuid: each.hash for each in sets})
    destination = PostgresDestination(url)
    destination.ensure(table)
    with destination.session(table, [day]) as session:
        for some in batched(sets, 2_000):
            session.write(some)
    revised = vcons[:changed]
    list(store.documents.create(NewVcon(vcon) for vcon in revised))
    commits = []
    for vcon in store.documents.read([vcon.uuid for vcon in revised]).values():
        vcon.put("parties", {"name": "Cy", "role": "customer", "tel": "+15550199"}, 0)
        rows = build_rows(table, vcon, outcome)
        put_rows(vcon, rows, table, outcome)
        commits.append(Commit(vcon, rows=[RowMark(table.name, day, vcon.uuid, rows.hash)]))
    list(store.documents.commit(commits))
    seconds, figures = _timed(store, url, table, [day], complete=False)
    again, _ = _timed(store, url, table, [day], complete=False)
    return {"seconds": seconds, **figures, "with_nothing_to_do": again}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--day", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument("--seed", action="store_true")
    asked = parser.parse_args()
    if asked.seed:
        settings = load_settings()
        found = seed(
            open_store(settings), Ledger(settings.postgres_url()), conversations(asked.conversations, asked.days)
        )
        print(json.dumps({"conversations": len(found), "from": FIRST.isoformat(), "days": asked.days}))
        return
    with embedded_store() as store, embedded_postgres() as url:
        told: dict[str, Any] = {}
        if asked.conversations:
            told["year"] = year(store, url, asked.conversations, asked.days)
        if asked.day:
            told["tick"] = tick(store, url, asked.day, asked.changed)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()

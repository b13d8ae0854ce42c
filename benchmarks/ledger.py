"""How quickly ledger events get from Redis' outbox into Postgres.

    python benchmarks/ledger.py [--entries N] [--rounds N]

The outbox is filled as pipelines fill it: an entry per vCon with six events. Prints one JSON object: events per second
and CPU time per event of this process; and, in the same run, what a bare ``COPY`` of as many rows into a table of the
same columns without any index takes.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store, free_port

from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.ledger.outbox import OUTBOX, ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.services import postgres_home
from vcon_platform.services.identity import server_identity
from vcon_platform.services.postgres import PostgresServer, libpq_url
from vcon_platform.services.postgres_home import runnable_install
from vcon_platform.store.opening import Store
from vcon_platform.vcon.uuids import new_uuid

KINDS = (EventKind.CREATED, *[EventKind.PROCESSED] * 4, EventKind.DONE)


@contextmanager
def embedded_postgres() -> Iterator[str]:
    """The URL of a Postgres as the platform starts it."""
    folder = Path(tempfile.mkdtemp(prefix="vcon-benchmark-"))
    folder.chmod(0o711)
    postgres_home.FALLBACK_ROOT = folder / "fallback"
    identity = server_identity()
    server = PostgresServer(
        home=folder / "postgres",
        install=runnable_install(identity, folder / "install"),
        port=free_port(),
        password="benchmark",  # noqa: S106 - of a server that lives for a minute
        identity=identity,
    )
    server.prepare(sync=False)
    process = subprocess.Popen(
        [str(part) for part in server.command()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=None if identity is None else identity.uid,
        group=None if identity is None else identity.gid,
        extra_groups=None if identity is None else [],
    )
    try:
        while server.why_not_ready() is not None:
            time.sleep(0.05)
        yield server.url()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def fill(store: Store, entries: int) -> None:
    """As many entries as vCons, six events each."""
    forms = [
        EventForm(
            kind,
            pipeline="bench",
            pipeline_version="0123456789ab",
            processor="count",
            processor_version="1",
            options_hash="0123456789ab",
            batch_id=new_uuid(),
            run_id=new_uuid(),
        )
        for kind in KINDS
    ]
    pipe = store.client.pipeline(transaction=False)
    for _ in range(entries):
        uuid, job = new_uuid(), new_uuid()
        events = [form.event(uuid, 1, job=job) for form in forms]
        pipe.xadd(OUTBOX, {"events": b"[" + b",".join(events) + b"]"})
    pipe.execute()


def copy(url: str, rows: int) -> float:
    """Seconds of a bare COPY of so many rows."""
    line = "\t".join([new_uuid(), "2026-11-02T09:00:00+00:00", new_uuid(), "done", "1", *["0123456789ab"] * 7, "{}"])
    connection = psycopg2.connect(libpq_url(url))
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE bare (LIKE ledger.events INCLUDING COMMENTS) ON COMMIT DROP")
        cursor.execute("ALTER TABLE bare DROP COLUMN id")
        began = time.perf_counter()
        cursor.copy_expert("COPY bare FROM STDIN", io.StringIO((line + "\n") * rows))
        seconds = time.perf_counter() - began
    connection.close()
    return seconds


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entries", type=int, default=5_000)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    rows = given.entries * len(KINDS)
    rates: list[float] = []
    costs: list[float] = []
    bare: list[float] = []
    with embedded_store() as store, embedded_postgres() as url:
        ledger = Ledger(url)
        ledger.ensure()
        for _ in range(given.rounds):
            fill(store, given.entries)
            began, cost = time.perf_counter(), time.process_time()
            ship_all(store.client, ledger)
            rates.append(rows / (time.perf_counter() - began))
            costs.append((time.process_time() - cost) / rows)
            bare.append(rows / copy(url, rows))
        stored = sum(ledger.counts().values())
    if stored != rows * given.rounds:
        raise SystemExit(f"{stored} events are in the ledger instead of {rows * given.rounds}")
    answer: dict[str, Any] = {
        "events_per_second": round(statistics.median(rates)),
        "cpu_us_per_event": round(statistics.median(costs) * 1e6, 1),
        "bare_copy_rows_per_second": round(statistics.median(bare)),
    }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()

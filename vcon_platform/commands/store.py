"""``vcon-platform store``: looking after what keeps the vCons: Redis, archive, media, search index.

Belongs here: asking and printing. What is checked and rebuilt, and how, is the store's.
"""

from __future__ import annotations

import json as json_text
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from vcon_platform.store.opening import Store

app = typer.Typer(no_args_is_help=True, help="Look after the store: check it, rebuild Redis, sweep media.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def _store() -> Store:
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import check
    from vcon_platform.store.opening import open_store

    store = open_store(load_settings())
    check(store.client)
    return store


@app.command("check")
def check_store(
    deep: Annotated[bool, typer.Option("--deep", help="Read every recording, put every original together.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare Redis, archive and media, and name every difference. Exits with 1 if something must be mended."""
    from vcon_platform.store.check import SOUND, Difference, check

    store = _store()
    looked_at, counts = 0, Counter[str]()
    console = Console(stderr=True)
    with console.status("Comparing") as status:
        for told in check(store.client, store.archive, store.media, deep=deep):
            if isinstance(told, Difference):
                counts[told.fault] += 1
                if as_json:
                    typer.echo(json_text.dumps({"uuid": told.uuid, "fault": told.fault, "message": told.message}))
                else:
                    typer.echo(f"{told.uuid}  {told.fault}: {told.message}")
            else:
                looked_at += 1
                status.update(f"Comparing: {looked_at} vCons")
    faults = sum(count for fault, count in counts.items() if fault not in SOUND)
    console.print(f"{looked_at} vCons compared, {faults} faults, {sum(counts.values()) - faults} remarks.")
    raise typer.Exit(1 if faults else 0)


@app.command("rebuild")
def rebuild_store() -> None:
    """Fill Redis from the archive: documents, listing, search, rows of projections; then queue what never finished.

    Safe at any time, also while the platform runs: what Redis holds already is left as it is.
    """
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.pipelines.unfinished import requeue_unfinished
    from vcon_platform.pipelines.verdict_rows import row_marks
    from vcon_platform.settings import load_settings
    from vcon_platform.store.commits import Restored
    from vcon_platform.store.leases import Queues
    from vcon_platform.store.rebuild import rebuild
    from vcon_platform.store.search import SearchIndex

    store, ledger = _store(), Ledger(load_settings().postgres_url())
    ledger.ensure()  # asked first: what never finished is found by it, and only in this one pass
    console = Console(stderr=True)
    restored: list[str] = []
    with console.status("Rebuilding") as status:

        def told(uuid: str, what: Restored) -> None:
            if what is Restored.RESTORED:
                restored.append(uuid)
                status.update(f"Rebuilding: {len(restored)} vCons")

        done = rebuild(store.client, store.documents, marks=row_marks, told=told)
        SearchIndex(store.client).ensure()
    counts = ", ".join(f"{count} {what}" for what, count in sorted(done.counts.items())) or "the archive is empty"
    typer.echo(f"Rebuilt from the archive: {counts}.")
    for uuid, reason in done.broken.items():
        typer.echo(f"{uuid}  {reason}", err=True)
    queued = requeue_unfinished(restored, store.documents, Queues(store.client), ledger)
    for queue, count in sorted(queued.items()):
        typer.echo(f"Queued again for {queue}: {count} vCons that no run had finished.")
    raise typer.Exit(1 if done.broken else 0)


@app.command("sweep")
def sweep_store(
    older_than_hours: Annotated[
        float, typer.Option("--older-than", min=1, help="Hours a recording must have been there.")
    ] = 24.0,
) -> None:
    """Delete recordings that no vCon refers to (a document was refused after its recording had been kept)."""
    from datetime import timedelta

    from vcon_platform.store.media_sweep import sweep

    store = _store()
    swept = sweep(store.objects, store.client, older_than=timedelta(hours=older_than_hours))
    typer.echo(str(swept))


@app.command("reindex")
def reindex_store() -> None:
    """Work out anew what every vCon is found by, and bring the search index up to date."""
    from vcon_platform.store.search import SearchIndex

    store = _store()
    index = SearchIndex(store.client)
    index.ensure()
    console = Console(stderr=True)
    with console.status("Reindexing"):
        typer.echo(f"{index.reindex(store.documents.read)} vCons brought up to date.")

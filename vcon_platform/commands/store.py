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

app = typer.Typer(
    no_args_is_help=True, help="Look after the store: check it, rebuild Redis, sweep recordings, reindex."
)

SWEEP_SECONDS = 600.0
"""How long a sweep may take that somebody waits for."""

_RESTORED = {
    "restored": "put back",
    "there": "there already",
    "removed": "removed, and left so",
    "ahead": "newer in Redis than in the archive (see 'store check')",
    "unknown": "without content",
}

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
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also read every recording and compare its hash, and put every original together."),
    ] = False,
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
    console.print(f"{_vcons(looked_at)} compared, {faults} faults, {sum(counts.values()) - faults} remarks.")
    raise typer.Exit(1 if faults else 0)


@app.command("rebuild")
def rebuild_store() -> None:
    """Fill Redis from the archive: documents, listing, search, rows of projections; then queue what never finished.

    Safe at any time, also while the platform runs, and it may be broken off and begun again: what Redis holds already
    is left as it is, and what waits in a queue already is not queued twice. Exits with 1 if a vCon cannot be read.
    """
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.pipelines.removal import remove
    from vcon_platform.pipelines.unfinished import requeue_unfinished
    from vcon_platform.pipelines.verdict_rows import row_marks
    from vcon_platform.settings import load_settings
    from vcon_platform.store.commits import Restored
    from vcon_platform.store.rebuild import rebuild

    store, ledger = _store(), Ledger(load_settings().postgres_url())
    ledger.ensure()  # asked first: without it what never finished cannot be found
    console = Console(stderr=True)
    seen: list[str] = []
    with console.status("Rebuilding") as status:

        def told(uuid: str, what: Restored) -> None:
            if what not in (Restored.UNKNOWN, Restored.REMOVED):
                seen.append(uuid)
                status.update(f"Rebuilding: {len(seen)} vCons")

        done = rebuild(
            store.client,
            store.documents,
            marks=row_marks,
            told=told,
            remove=lambda uuid: remove(store, uuid, by="rebuild"),
        )
        store.index.ensure()
        status.update("Looking for what never finished")
        queued = requeue_unfinished(seen, store.documents, store.client, ledger)
    counts = ", ".join(f"{count} {_RESTORED[what]}" for what, count in sorted(done.counts.items()))
    typer.echo(f"Rebuilt from the archive: {counts or 'it is empty'}.")
    for uuid, reason in done.broken.items():
        typer.echo(f"{uuid}  {reason}", err=True)
    for queue, count in sorted(queued.items()):
        typer.echo(f"Queued again for {queue}: {_vcons(count)} that no run had finished.")
    raise typer.Exit(1 if done.broken else 0)


@app.command("sweep")
def sweep_store(
    older_than_hours: Annotated[
        float, typer.Option("--older-than", min=1, help="Hours; younger recordings are left alone.")
    ] = 24.0,
) -> None:
    """Set recordings aside that no vCon refers to, and delete those that were set aside a week ago.

    They are left behind where a document was refused or given up after its recording had been kept. The platform does
    this by itself from time to time; nothing that a vCon refers to is ever deleted.
    """
    from datetime import timedelta

    from vcon_platform.store.media_sweep import sweep
    from vcon_platform.store.removing import Remover

    store = _store()
    with Console(stderr=True).status("Sweeping"):
        Remover(store.client, store.documents).finish()
        swept = sweep(store.objects, store.client, older_than=timedelta(hours=older_than_hours), seconds=SWEEP_SECONDS)
    typer.echo(
        f"Set aside: {swept.set_aside}; put back: {swept.restored}; deleted: {swept.deleted} ({swept.bytes} bytes); "
        f"old and needed: {swept.kept}."
    )
    if not swept.finished:
        typer.echo("Not finished: the time was up, or another sweep is under way. Run it again later.", err=True)


@app.command("reindex")
def reindex_store() -> None:
    """Work out anew what every vCon is found by, list those that the listing lacks, and bring the index up to date.

    Safe while the platform runs. Exits with 1 if vCons are left that somebody kept changing, or that cannot be read.
    """
    from vcon_platform.store.search_refresh import everything

    store = _store()
    index = store.index
    index.ensure()
    with Console(stderr=True).status("Reindexing"):
        done = index.reindex(store.documents.read, everything(store.client))
    gone = f" {_vcons(done.gone)} are not in the store any more and cannot be found now." if done.gone else ""
    typer.echo(f"{_vcons(done.written)} can be found.{gone}")
    if done.left:
        typer.echo(f"{_vcons(done.left)} are left: somebody changed or holds them. Run it again.", err=True)
    raise typer.Exit(1 if done.left else 0)


def _vcons(count: int) -> str:
    return "1 vCon" if count == 1 else f"{count} vCons"

"""``vcon-platform demo``: eight sample calls, from the switch's spool folder to rows in Postgres."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vcon_platform.demo.watch import Picture, Watcher
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.services.stack import Stack

PATIENCE_SECONDS = 300.0
_SHOWN = {
    "recalls": ("created_at", "agent", "customer", "transcript"),
    "calls": ("created_at", "customer", "agent", "duration_seconds", "disposition", "verdict", "verdict_reason"),
}


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(rich_help_panel="Processes")(demo)


def demo(
    stop: Annotated[
        bool,
        typer.Option("--exit/--stay", help="Stop everything afterwards. Default: stay on a terminal, stop elsewhere."),
    ] = not sys.stdout.isatty() or os.environ.get("DEMO_EXIT") == "1",
) -> None:
    """Show the main job on eight sample calls: from a phone switch's files to rows in Postgres.

    Starts everything, drops the calls into the spool, lets the sensor find them and the pipeline *recall* work on
    them, and prints the rows, what was filtered or failed and why. Exit code 0 only if the rows are the right ones.
    A second demo is quick and adds nothing. DEMO_EXIT=1 in the environment is the same as --exit.
    """
    from rich.console import Console

    from vcon_platform.services.stack import Stack
    from vcon_platform.settings import load_settings

    # A log file has no width of its own: give the tables the room they need.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 180)
    stack = Stack(load_settings())
    was_up = stack.is_up()
    began = time.monotonic()
    try:
        right = _show(console, stack, began)
        if not stop:
            _stay(console, stack)
    except KeyboardInterrupt:
        console.print("Interrupted.")
        raise typer.Exit(130) from None
    finally:
        if not was_up:
            console.print("Stopping everything …")
            stack.down()
    if not right:
        raise typer.Exit(1)


def _show(console: Console, stack: Stack, began: float) -> bool:
    from vcon_platform.commands.services import show_progress
    from vcon_platform.demo.samples import SAMPLES, drop_into_spool
    from vcon_platform.services.dagster_client import DagsterClient

    console.print("[bold]1. Starting Redis, Postgres, Dagster and the REST API[/bold]")
    stack.up(lambda step: show_progress(console, step))
    spool = stack.settings.data_dir / "freeswitch" / "spool"
    drop_into_spool(spool)
    console.print(f"[bold]2. {len(SAMPLES)} calls have ended[/bold]: the switch left their records in {spool}")
    watcher = _watcher(stack)
    picture, faults = _wait(console, watcher)
    client = DagsterClient(stack.webserver_url)
    _tell(console, watcher, picture, client, stack)
    if faults:
        console.print("[red]Not as expected:[/red]")
        for fault in faults:
            console.print(f"  - {fault}")
        console.print(f"Logs are in {stack.settings.data_dir / 'logs'}")
    else:
        console.print(f"[green]Every row is the right one[/green] [dim]({time.monotonic() - began:.0f} s)[/dim]")
    return not faults


def _watcher(stack: Stack) -> Watcher:
    from sqlalchemy import create_engine

    from vcon_platform.demo.samples import SAMPLES
    from vcon_platform.demo.watch import Watcher
    from vcon_platform.store.leases import Queues
    from vcon_platform.store.opening import open_store

    store = open_store(stack.settings)
    return Watcher(SAMPLES, store.documents, Queues(store.client), create_engine(stack.settings.postgres_url()))


def _wait(console: Console, watcher: Watcher) -> tuple[Picture, list[str]]:
    """Look until all is right or patience ends, telling what has changed since the last look."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    told = ""
    console.print("[bold]3. The sensor finds them, the pipeline works on them, the rows land[/bold]")
    began = time.monotonic()
    while True:
        picture = watcher.look()
        faults = watcher.faults(picture)
        line = (
            f"{picture.captured} captured, {picture.waiting} waiting, {len(picture.calls)} rows in calls, "
            f"{len(picture.recalls)} in recalls, {len(picture.dead)} failed"
        )
        if line != told:
            console.print(f"  [dim]{time.monotonic() - began:5.1f} s[/dim]  {line}")
            told = line
        if not faults or time.monotonic() > deadline:
            return picture, faults
        time.sleep(0.5)


def _tell(console: Console, watcher: Watcher, picture: Picture, client: DagsterClient, stack: Stack) -> None:
    from vcon_platform.demo.watch import PIPELINE
    from vcon_platform.orchestration.naming import PIPELINE_TAG

    console.print()
    for table, rows in (("recalls", picture.recalls), ("calls", picture.calls)):
        _print_rows(console, table, rows)
    _list(
        console,
        "Filtered, and why",
        [
            f"{watcher.name(row['uuid'])}: {row['verdict_reason']}"
            for row in picture.calls
            if row["verdict"] == "filtered"
        ],
    )
    _list(
        console,
        f"Failed, and why (they wait in dead:{PIPELINE})",
        [f"{watcher.name(dead.job.vcon_uuids[0])}: {dead.processor}: {dead.error}" for dead in picture.dead],
    )
    runs = client.runs({PIPELINE_TAG: PIPELINE}, limit=1)
    console.print("[bold]Look at[/bold]")
    if runs:
        console.print(f"  the run (red, for it names what failed)   {client.run_url(runs[0].id)}")
    console.print(f"  from source to table                      {client.url}/asset-groups")
    if picture.recalls:
        console.print("[bold]Try next[/bold]")
        console.print(f"  vcon-platform trace {picture.recalls[0]['uuid']}")
        console.print("  vcon-platform backfill freeswitch --from 2026-10-01 --to 2026-10-30")
    if picture.dead:
        console.print(
            "  put a good recording in the place of the broken one in "
            f"{stack.settings.data_dir / 'freeswitch' / 'spool' / 'recordings'},\n"
            "  then press Re-execute on the red run: it takes up that call alone"
        )
    console.print("  change the words in pipelines/recall.yaml, then reload the code location in the Dagster UI")
    console.print()


def _print_rows(console: Console, name: str, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(*_SHOWN[name], title=f"{name} ({len(rows)} rows)", title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in _SHOWN[name]))
    console.print(table, soft_wrap=False)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return ""
    shown = value.isoformat(sep=" ", timespec="seconds") if hasattr(value, "isoformat") else str(value)
    return escape(shown if len(shown) <= 110 else f"{shown[:107]}…")


def _list(console: Console, title: str, lines: list[str]) -> None:
    from rich.markup import escape

    if lines:
        console.print(f"[bold]{title}[/bold]")
        for line in lines:
            console.print(f"  - {escape(line)}")


def _stay(console: Console, stack: Stack) -> None:
    console.print(f"The Dagster UI is at {stack.webserver_url}. Ctrl-C stops everything.")
    try:
        while stack.is_up():
            time.sleep(1.0)
    except KeyboardInterrupt:
        console.print()

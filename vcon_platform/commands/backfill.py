"""``vcon-platform backfill``: fetch days of an adapter's archive, as choosing them in the Dagster UI does."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vcon_platform.services.dagster_client import DagsterClient


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(rich_help_panel="Conversations")(backfill)


def backfill(
    adapter: Annotated[str, typer.Argument(help="The adapter, by the name in its settings file: freeswitch.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), included.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when the days have been read.")] = True,
) -> None:
    """Create the vCons of these days from an adapter's archive, and queue them. Known ones are skipped.

    The platform must be up. Their rows follow by themselves. The same as materializing days of the asset
    sources/ADAPTER_history in the Dagster UI.

    [bold]Example[/bold]: vcon-platform backfill freeswitch --from 2026-10-01 --to 2026-10-30
    """
    from rich.console import Console

    from vcon_platform.orchestration.naming import history_key
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.services.stack import Stack
    from vcon_platform.settings import load_settings

    client = DagsterClient(Stack(load_settings()).webserver_url)
    key = history_key(adapter)
    known = client.partitions(key)
    days = [day for day in known if first.date().isoformat() <= day <= last.date().isoformat()]
    if not days:
        raise typer.BadParameter(
            f"no day from {first:%Y-%m-%d} to {last:%Y-%m-%d} is a partition of {'/'.join(key)} (they go from "
            f"{known[0]} to {known[-1]}; VCON_PARTITIONS_START moves the first)"
        )
    console = Console(highlight=False)
    backfill_id = client.backfill([key], days)
    console.print(f"Backfill {backfill_id} of {len(days)} days: {client.url}/runs/b/{backfill_id}")
    if wait and not _finished(console, client, backfill_id):
        raise typer.Exit(1)


def _finished(console: Console, client: DagsterClient, backfill_id: str) -> bool:
    with console.status("Reading the archive"):
        while (status := client.backfill_status(backfill_id)) in ("REQUESTED", "CANCELING", "FAILING"):
            time.sleep(1.0)
    console.print(f"{status}: see the asset's page for what was created, known and unreadable by day.")
    return status == "COMPLETED_SUCCESS"

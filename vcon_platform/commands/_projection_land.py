"""``vcon-platform projections land``: land days of a projection's tables, as choosing them in the Dagster UI does."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vcon_platform.services.dagster_client import DagsterClient


def land(
    name: Annotated[str, typer.Argument(help="The projection: calls.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), included.")],
    destination: Annotated[str, typer.Option(help="Only into the destination of this kind; otherwise into each.")] = "",
    complete: Annotated[
        bool,
        typer.Option(
            "--complete/--as-is",
            help="First make the rows that are missing, and those of another version of the declaration.",
        ),
    ] = True,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when the days have been landed.")] = True,
) -> None:
    """Let a projection's tables hold exactly what they should on these days.

    The platform must be up. The same as materializing days of the assets projections/NAME/DESTINATION in the Dagster
    UI. It may be interrupted and asked for again: what stands already is left alone.

    [bold]Example[/bold]: vcon-platform projections land calls --from 2026-01-01 --to 2026-12-31
    """
    from rich.console import Console

    from vcon_platform.orchestration.naming import projection_key
    from vcon_platform.projections.catalogue import load_projections
    from vcon_platform.projections.explain import choose
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.services.stack import Stack
    from vcon_platform.settings import load_settings

    settings = load_settings()
    projections = load_projections(settings.pipelines_dir / "projections")
    if name not in projections:
        raise typer.BadParameter(choose(name, projections, "a projection"), param_hint="NAME")
    kinds = [ref.kind for ref in projections[name].destinations]
    if destination and destination not in kinds:
        raise typer.BadParameter(choose(destination, kinds, f"a destination of {name}"), param_hint="--destination")
    client = DagsterClient(Stack(settings).webserver_url)
    console = Console(highlight=False)
    keys = [projection_key(name, kind) for kind in ([destination] if destination else kinds)]
    known = client.partitions(keys[0])
    days = [day for day in known if f"{first:%Y-%m-%d}" <= day <= f"{last:%Y-%m-%d}"]
    if not days:
        raise typer.BadParameter(
            f"no day from {first:%Y-%m-%d} to {last:%Y-%m-%d} is a partition of {'/'.join(keys[0])} (they go from "
            f"{known[0]} to {known[-1]}; VCON_PARTITIONS_START moves the first)"
        )
    config = {"ops": {"__".join(key): {"config": {"complete": complete}} for key in keys}}
    backfill = client.backfill(keys, days, config)
    told = ", ".join("/".join(key) for key in keys)
    console.print(f"Backfill {backfill} of {told}, {len(days)} days: {client.url}/runs/b/{backfill}")
    if wait and not _finished(console, client, backfill):
        raise typer.Exit(1)


def _finished(console: Console, client: DagsterClient, backfill: str) -> bool:
    began = time.monotonic()
    with console.status("Landing"):
        while (status := client.backfill_status(backfill)) in ("REQUESTED", "CANCELING", "FAILING"):
            time.sleep(1.0)
    console.print(f"{status} after {time.monotonic() - began:.0f} s: the assets' pages say what was done, by day.")
    return status == "COMPLETED_SUCCESS"

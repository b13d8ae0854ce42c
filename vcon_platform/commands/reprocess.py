"""``vcon-platform reprocess``: put days of conversations through a pipeline again, as the Dagster UI does."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from vcon_platform.pipelines.reprocess import Selection
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(rich_help_panel="Conversations")(reprocess)


def reprocess(
    pipeline: Annotated[str, typer.Argument(help="The pipeline, by its name.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), included.")],
    force: Annotated[bool, typer.Option("--force", help="Also those with a result of the present version.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would come to.")] = False,
    missing: Annotated[
        bool, typer.Option("--missing/--no-missing", help="Also those that never came to an end in this pipeline.")
    ] = True,
    adapter: Annotated[str, typer.Option(help="Only conversations of this adapter.")] = "",
    tag: Annotated[str, typer.Option(help="Only conversations with this tag, name:value.")] = "",
    text: Annotated[str, typer.Option(help="Only conversations in which these words occur.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when everything is queued.")] = True,
) -> None:
    """Queue the conversations of these days again, with low priority: those whose result is missing or of another
    version of the pipeline.

    The same as materializing days of the asset reprocess/PIPELINE in the Dagster UI, where its progress is told. What
    still waits is withdrawn with 'vcon-platform queue purge PIPELINE --origin reprocess:ID'.

    [bold]Example[/bold]: vcon-platform reprocess sales --from 2026-10-01 --to 2026-10-31 --estimate
    """
    from rich.console import Console

    from vcon_platform.pipelines.reprocess import Selection
    from vcon_platform.settings import load_settings

    if last < first:
        raise typer.BadParameter(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}")
    selection = Selection(force=force, missing=missing, adapter=adapter, tag=tag, text=text)
    console, settings = Console(highlight=False), load_settings()
    if estimate:
        count = (last - first).days + 1
        _estimate(console, settings, pipeline, [first.date() + timedelta(days=n) for n in range(count)], selection)
    else:
        _launch(console, settings, pipeline, first.date(), last.date(), selection, wait=wait)


def _estimate(console: Console, settings: Settings, pipeline: str, days: Sequence[date], selection: Selection) -> None:
    """Asked of the stores themselves: Dagster need not be up."""
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.pipelines.current import CurrentCatalogue
    from vcon_platform.pipelines.reprocess import Reprocessing, Survey
    from vcon_platform.store.leases import Queues
    from vcon_platform.store.opening import open_store

    store = open_store(settings)
    definition = CurrentCatalogue(settings, store.client).get().get(pipeline)
    work = Reprocessing(definition, store, Queues(store.client), Ledger(settings.postgres_url()), id="estimate")
    total = Survey()
    for day in days:
        survey = work.survey(day, selection)
        total.add(survey)
        if survey.found:
            console.print(f"{day}  {len(survey.chosen)} of {survey.found} to process")
    for name, figure in total.to_json().items():
        console.print(f"{name.replace('_', ' ')}: {figure}")


def _launch(
    console: Console, settings: Settings, pipeline: str, first: date, last: date, selection: Selection, *, wait: bool
) -> None:
    from dataclasses import asdict

    from vcon_platform.orchestration.naming import reprocess_key
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.services.stack import Stack

    client = DagsterClient(Stack(settings).webserver_url)
    key = reprocess_key(pipeline)
    known = client.partitions(key)
    days = [day for day in known if first.isoformat() <= day <= last.isoformat()]
    if not days:
        raise typer.BadParameter(
            f"no day from {first} to {last} is a partition of {'/'.join(key)} (they go from {known[0]} to {known[-1]}; "
            "VCON_PARTITIONS_START moves the first)"
        )
    config = {"ops": {"__".join(key): {"config": asdict(selection)}}}
    backfill_id = client.backfill([key], days, config)
    console.print(f"Reprocessing {backfill_id} of {len(days)} days: {client.url}/runs/b/{backfill_id}")
    console.print(f"Withdraw what waits: vcon-platform queue purge {pipeline} --origin reprocess:{backfill_id}")
    if wait and not _finished(console, client, backfill_id):
        raise typer.Exit(1)


def _finished(console: Console, client: DagsterClient, backfill_id: str) -> bool:
    with console.status("Queueing"):
        while (status := client.backfill_status(backfill_id)) in ("REQUESTED", "CANCELING", "FAILING"):
            time.sleep(1.0)
    console.print(f"{status}: see the asset's page for what was queued by day, and how far it has come.")
    return status == "COMPLETED_SUCCESS"

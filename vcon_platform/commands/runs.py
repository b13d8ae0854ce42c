"""``vcon-platform runs``: Dagster's runs of pipelines, and ending one.

Belongs here: asking and printing. Not here: what a run does (``orchestration/``), one conversation's way
(``vcon-platform trace``), what failed in it (``queue dead``).

Exit codes: 0 well; 1 Dagster does not answer, or refused; 2 what was typed is wrong.
"""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._shown import shown
from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from vcon_platform.services.dagster_client import DagsterClient, RunState

app = typer.Typer(no_args_is_help=True, help="Runs of pipelines in Dagster: list, show, cancel.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its first letters as 'runs list' shows.")]
_SHORT = 8
_RECENT = 200


class Status(StrEnum):
    """What can be asked for."""

    queued = "queued"
    started = "started"
    success = "success"
    failure = "failure"
    canceled = "canceled"


def _client() -> DagsterClient:
    from vcon_platform.services.dagster_client import DagsterClient
    from vcon_platform.services.ports import LOOPBACK
    from vcon_platform.settings import load_settings

    return DagsterClient(f"http://{LOOPBACK}:{load_settings().webserver_port}")


@app.command("list")
def list_runs(
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Those of this pipeline only.")] = None,
    status: Annotated[list[Status] | None, typer.Option("--status", help="May be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most runs to show.")] = 25,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first: of pipelines, sources and projections, or of one pipeline."""
    from vcon_platform.orchestration.naming import PIPELINE_TAG

    tags = {PIPELINE_TAG: pipeline} if pipeline else None
    found = _client().runs(tags, limit, [each.value.upper() for each in status or ()])
    if as_json:
        typer.echo(json_text.dumps([_about(run) for run in found]))
        return
    table = Table(box=None, header_style="bold")
    for header in ("run", "status", "pipeline", "lane", "job", "created", "seconds"):
        table.add_column(header, overflow="fold")
    for run in found:
        about = _about(run)
        table.add_row(
            run.id[:_SHORT],
            run.status.lower(),
            shown(about["pipeline"] or ""),
            shown(about["lane"] or ""),
            shown(run.job),
            _moment(run.created),
            _seconds(run),
        )
    Console().print(table)


@app.command("show")
def show_run(run: RunId, as_json: AsJson = False) -> None:
    """Show one run with its tags, and where its page is."""
    client = _client()
    found = _found(client, run)
    about = {**_about(found), "url": client.run_url(found.id), "tags": dict(found.tags)}
    if as_json:
        typer.echo(json_text.dumps(about))
        return
    table = Table(box=None, show_header=False)
    for name in ("id", "status", "pipeline", "version", "lane", "job", "created", "started", "ended", "url"):
        if about[name]:
            table.add_row(name, shown(str(about[name])))
    for name, value in sorted(found.tags.items()):
        if not name.startswith(".dagster/"):
            table.add_row(f"tag {name}", shown(value))
    Console().print(table)


@app.command("cancel")
def cancel_run(run: RunId, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """End a run. What it holds goes back to its queue, and nothing that is settled is lost."""
    client = _client()
    found = _found(client, run)
    if found.finished:
        raise PlatformError(f"run {found.id} has ended already ({found.status.lower()})")
    if not yes:
        typer.confirm(f"End run {found.id} of {found.job}?", abort=True)
    client.terminate(found.id)
    typer.echo(f"Run {found.id} is being ended. 'vcon-platform runs show {found.id[:_SHORT]}' says when it is.")


def _found(client: DagsterClient, run: str) -> RunState:
    """The run of this id, or the one of the newest whose id begins so."""
    run = run.strip().lower()
    if len(run) >= 36:
        return client.run(run)
    begin_so = [each for each in client.runs(limit=_RECENT) if run and each.id.startswith(run)]
    if len(begin_so) != 1:
        what = f"{len(begin_so)} of" if begin_so else "none of"
        raise PlatformError(f"{what} the newest {_RECENT} runs begin with {run[:40]!r}; write the whole id")
    return begin_so[0]


def _about(run: RunState) -> dict[str, Any]:
    from vcon_platform.orchestration.naming import LANE_TAG, PIPELINE_TAG, VERSION_TAG

    return {
        "id": run.id,
        "status": run.status.lower(),
        "pipeline": run.tags.get(PIPELINE_TAG),
        "version": run.tags.get(VERSION_TAG),
        "lane": run.tags.get(LANE_TAG),
        "job": run.job,
        "created": _iso(run.created),
        "started": _iso(run.started),
        "ended": _iso(run.ended),
    }


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(run: RunState) -> str:
    return f"{run.ended - run.started:.1f}" if run.started is not None and run.ended is not None else ""

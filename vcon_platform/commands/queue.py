"""``vcon-platform queue``: what waits, and what an operator does about it.

Belongs here: asking and printing. What a queue is, and what moves its jobs, is ``pipelines/queueing.py`` and the store.
"""

from __future__ import annotations

import json as json_text
import time
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vcon_platform.commands._shown import shown, visible
from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from vcon_platform.pipelines.queueing import QueueDesk, QueueOverview
    from vcon_platform.store.jobs import DeadJob, Job

app = typer.Typer(no_args_is_help=True, help="Queues: what waits, pause, withdraw, bring failed jobs back.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name; a pipeline's queue has the pipeline's.")]
JobIds = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Ids of jobs.")]
All = Annotated[bool, typer.Option("--all", help="All of them, instead of named ones.")]


class PriorityName(StrEnum):
    """Priorities that can be asked for."""

    urgent = "urgent"
    normal = "normal"
    low = "low"


def _desk() -> QueueDesk:
    from vcon_platform.pipelines.current import CurrentCatalogue
    from vcon_platform.pipelines.queueing import QueueDesk
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import check
    from vcon_platform.store.leases import Queues
    from vcon_platform.store.opening import open_store

    settings = load_settings()
    store = open_store(settings)
    check(store.client)
    catalogue = CurrentCatalogue(settings, store.client)
    return QueueDesk(Queues(store.client), store.documents, catalogue.get, by="operator")


@app.command("list")
def list_queues(as_json: AsJson = False) -> None:
    """List every queue with what it holds."""
    found = _desk().overview()
    if as_json:
        typer.echo(json_text.dumps([_about(each) for each in found]))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("queue", overflow="fold")
    for header in ("urgent", "normal", "low", "later", "in progress", "dead", "oldest"):
        table.add_column(header, justify="right")
    table.add_column("")
    for each in found:
        state = each.state
        numbers = (state.urgent, state.normal, state.low, state.later, state.leased, each.dead)
        oldest = "" if state.oldest is None else _age(time.time() - state.oldest)
        table.add_row(shown(each.name), *map(str, numbers), oldest, _remarks(each))
    Console().print(table)


def _remarks(each: QueueOverview) -> str:
    said = []
    if each.state.paused:
        said.append("paused")
    if each.limit is not None and each.state.waiting >= each.limit:
        said.append(f"full ({each.limit})")
    if not each.known:
        said.append("no definition names it")
    elif not each.pipeline:
        said.append("no pipeline of its own")
    return ", ".join(said)


@app.command("show")
def show_queue(
    name: Name,
    start: Annotated[int, typer.Option(min=0, help="How many jobs to pass over.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Most jobs to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of a queue in the order in which they will be worked on."""
    desk = _desk()
    about, jobs = desk.one(name), desk.queues.jobs(name, start, count)
    if as_json:
        typer.echo(json_text.dumps({**_about(about), "jobs": [asdict(job) for job in jobs]}))
        return
    table = Table(box=None, header_style="bold")
    for header in ("job", "vCons", "priority", "queued", "not before", "retries", "origin"):
        table.add_column(header, overflow="fold")
    for job in jobs:
        table.add_row(
            shown(job.id),
            shown("\n".join(job.vcon_uuids)),
            job.priority,
            _moment(job.queued_at),
            _moment(job.not_before),
            str(job.retries or ""),
            shown(job.origin),
        )
    Console().print(table)
    left = about.state.waiting - start - len(jobs)
    if left > 0:
        typer.echo(f"{left} more; --start {start + len(jobs)} shows them.")


@app.command("push")
def push_jobs(
    name: Name,
    uuids: Annotated[list[str], typer.Argument(metavar="UUID...", help="vCons; they must be in the store.")],
    priority: Annotated[
        PriorityName, typer.Option(help="urgent ones come first, low ones last.")
    ] = PriorityName.normal,
    delay: Annotated[float, typer.Option(min=0, help="Seconds before which they are not worked on.")] = 0.0,
    dedupe: Annotated[bool, typer.Option("--dedupe", help="Not those for which such a job waits already.")] = False,
    together: Annotated[bool, typer.Option("--together", help="One job for all, instead of one for each.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=JSON", help="A parameter to begin with.")
    ] = None,
) -> None:
    """Queue vCons: all of them, or none when one is not in the store."""
    from vcon_platform.pipelines.queueing import new_jobs

    jobs = new_jobs(
        [_uuid(uuid) for uuid in uuids],
        together=together,
        priority=priority.value,
        delay=delay,
        dedupe=dedupe,
        parameters=dict(_parameter(each) for each in parameter or ()),
        origin="operator",
    )
    entered = _desk().push(name, jobs)
    waits = f"; {len(jobs) - entered} wait there already" if entered < len(jobs) else ""
    typer.echo(f"{_jobs(entered)} queued{waits}.")


@app.command("pause")
def pause_queue(name: Name) -> None:
    """Let nothing be taken from a queue until it is resumed. Jobs may still enter."""
    desk = _desk()
    desk.one(name)
    typer.echo("Paused." if desk.queues.pause(name) else "It was paused already.")


@app.command("resume")
def resume_queue(name: Name) -> None:
    """End a pause."""
    desk = _desk()
    desk.one(name)
    typer.echo("Resumed." if desk.queues.resume(name) else "It was not paused.")


@app.command("withdraw")
def withdraw_jobs(
    name: Name, jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")]
) -> None:
    """Take waiting jobs out of a queue for good. What a run has taken meanwhile is not touched."""
    desk = _desk()
    desk.one(name)
    taken = desk.withdraw(name, jobs)
    typer.echo(f"{_jobs(len(taken))} withdrawn.")
    if missing := set(jobs) - {job.id for job in taken}:
        raise PlatformError(f"not waiting in {name} (any more): {', '.join(sorted(missing))}")


@app.command("purge")
def purge_queue(
    name: Name,
    origin: Annotated[
        str | None, typer.Option(help="Only what this brought, such as reprocess:RUN, operator, api.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take all waiting jobs out of a queue for good, or those of one origin. The ledger has each."""
    desk = _desk()
    waiting = desk.one(name).state.waiting
    if not yes:
        what = f"of the {waiting} jobs in {name} those of {origin}" if origin else f"all {waiting} jobs in {name}"
        typer.confirm(f"Take {what} out for good?", abort=True)
    typer.echo(f"{_jobs(desk.purge(name, origin))} taken out.")


@app.command("dead")
def dead_jobs(
    name: Name,
    start: Annotated[int, typer.Option(min=0, help="How many to pass over.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the failed jobs of a pipeline, or of a failure queue, and why they failed."""
    desk = _desk()
    desk.one(name)
    found = desk.dead(name, start, count)
    if as_json:
        typer.echo(json_text.dumps([_dead(each) for each in found]))
        return
    console = Console(highlight=False, emoji=False)
    for each in found:
        console.print(Text(f"job {each.job.id}", "bold"))
        console.print(_under(f"vCon {', '.join(each.job.vcon_uuids)}"))
        where = f"{each.pipeline}, {each.processor}" if each.processor else each.pipeline
        tries = f"{each.job.attempts} attempt{'' if each.job.attempts == 1 else 's'}"
        console.print(_under(f"{where}: {tries}, {_span(each.first_failed_at, each.failed_at)}"))
        console.print(_under(f"{each.code}: {each.error}", "red"))
    if found:
        console.print(Text(f"\nOnce the cause is mended: vcon-platform queue redrive {name} JOB…, or --all", "dim"))


def _under(text: str, style: str = "") -> Padding:
    return Padding(Text(visible(text), style), (0, 0, 0, 4), expand=False)


def _span(first: float, last: float) -> str:
    return _moment(last) if _moment(first) in ("", _moment(last)) else f"{_moment(first)} to {_moment(last)}"


@app.command("redrive")
def redrive_jobs(name: Name, jobs: JobIds = None, everything: All = False) -> None:
    """Let failed jobs begin again, each at the end of the queue of the pipeline in which it failed."""
    if bool(jobs) == everything:
        raise PlatformError("name the jobs ('vcon-platform queue dead QUEUE' shows them), or say --all")
    desk = _desk()
    desk.one(name)
    moved: list[Job] = desk.redrive(name, jobs or None)
    typer.echo(f"{_jobs(len(moved))} queued again.")
    if missing := set(jobs or ()) - {job.id for job in moved}:
        raise PlatformError(f"not among the failed jobs of {name}: {', '.join(sorted(missing))}")


def _uuid(text: str) -> str:
    from vcon_platform.vcon.gates import canonical_uuid

    uuid = canonical_uuid(text)
    if uuid is None:
        raise PlatformError(f"{text[:60]!r} is no uuid")
    return uuid


def _parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    try:
        if not separator or not name:
            raise ValueError
        return name, json_text.loads(value)
    except ValueError:
        raise PlatformError(
            f"--parameter {name}: write NAME=JSON, such as --parameter limit=5 or --parameter 'word=\"refund\"'"
        ) from None


def _about(each: QueueOverview) -> dict[str, Any]:
    return {
        "name": each.name,
        **asdict(each.state),
        "dead": each.dead,
        "max_waiting": each.limit,
        "pipeline": each.pipeline,
        "known": each.known,
    }


def _dead(each: DeadJob) -> dict[str, Any]:
    return {**asdict(each), "first_failed_at": each.first_failed_at}


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"

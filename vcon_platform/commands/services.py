"""``up``, ``down``, ``status``, ``init``: the processes of this installation.

Only words for the terminal here; what happens is ``vcon_platform.services.stack``.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from vcon_platform.services.stack import Progress, Stack

_PANEL = "Processes"


class Part(StrEnum):
    """What ``up`` can be limited to."""

    services = "services"


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(rich_help_panel=_PANEL)(up)
    app.command(rich_help_panel=_PANEL)(down)
    app.command(rich_help_panel=_PANEL)(status)
    app.command(rich_help_panel=_PANEL)(init)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is ready and leave it running.")
    ] = False,
    only: Annotated[
        Part | None, typer.Option(help="Start just Redis and Postgres, for a 'dagster dev' of your own.")
    ] = None,
) -> None:
    """Start everything on this machine, and stop it with Ctrl-C.

    Redis and Postgres (unless REDIS_URL or POSTGRES_URL name your own),
    Dagster's code server, UI and daemon, and the REST API. Each is watched
    and started again if it dies; logs are in the data folder.

    [bold]Examples[/bold]

      vcon-platform up                             in this terminal
      vcon-platform up -d                          in the background
      vcon-platform up -d --only services          then 'dagster dev'
      VCON_WEBSERVER_PORT=3001 vcon-platform up    another port for the UI
    """
    stack, console = _stack(), _console()
    began = time.monotonic()
    with _stop_signals() as stopped:
        was_up = stack.is_up()
        try:
            stack.up(lambda step: show_progress(console, step), services_only=only is not None)
        except KeyboardInterrupt:
            console.print("Interrupted.")
            if not was_up:
                stack.down(lambda step: show_progress(console, step))
            raise typer.Exit(130) from None
        except Exception:
            if not was_up:  # nothing half-started stays behind; the logs do
                stack.down()
            raise
        _show_addresses(console, stack, only, time.monotonic() - began)
        if detach:
            return
        console.print("Ctrl-C stops everything.")
        lost = _watch(stack, stopped)
        stack.down(lambda step: show_progress(console, step))
    if lost:
        console.print(f"[red]{lost}[/red]")
        raise typer.Exit(1)


def down() -> None:
    """Stop everything that 'up' started for this data folder.

    Also what a killed 'up' left behind. Data stay.
    """
    console = _console()
    if not _stack().down(lambda step: show_progress(console, step)):
        console.print("Nothing was running.")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON array.")] = False,
) -> None:
    """Show which processes run, where they listen, and since when.

    The exit code is 0 if all of them run, else 3.

    [bold]Example[/bold]

      vcon-platform status --json | jq '.[] | select(.state != "running")'
    """
    processes = _stack().status()
    if as_json:
        typer.echo(json.dumps([process.as_dict() for process in processes], indent=2))
    else:
        from rich.table import Table

        table = Table("Process", "State", "Process id", "Up for", "Address", box=None, header_style="bold")
        for process in processes:
            colour = {"running": "green", "external": "cyan", "stopped": "dim"}.get(process.state, "red")
            uptime = "" if process.uptime_seconds is None else f"{process.uptime_seconds} s"
            number = "" if process.process_id is None else str(process.process_id)
            table.add_row(process.title, f"[{colour}]{process.state}[/]", number, uptime, process.address or "")
        _console().print(table)
    if any(process.state not in ("running", "external") for process in processes):
        raise typer.Exit(3)


def init() -> None:
    """Write a .env, if there is none, with which 'dagster dev' finds its configuration.

    Called by 'make setup'. An existing .env is left alone, except for the line
    this command owns.
    """
    from vcon_platform.services.env_file import write_env_file
    from vcon_platform.settings import project_root

    _console().print(write_env_file(project_root()))


# -- terminal ---------------------------------------------------------------------------------------------------------


def _stack() -> Stack:
    from vcon_platform.services.stack import Stack
    from vcon_platform.settings import load_settings

    return Stack(load_settings())


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def show_progress(console: Console, step: Progress) -> None:
    from rich.markup import escape

    if step.seconds is None:
        console.print(f"  [dim]·[/dim] {escape(step.text)}")
    else:
        console.print(f"  [green]✓[/green] {escape(step.text)} [dim]({step.seconds:.1f} s)[/dim]")


def _show_addresses(console: Console, stack: Stack, only: Part | None, seconds: float) -> None:
    settings = stack.settings
    console.print(f"[bold]Up[/bold] in {seconds:.1f} s")
    if only is None:
        console.print(f"  Dagster UI   {stack.webserver_url}")
        console.print(f"  REST API     {stack.api_url}/docs, key in {_short(settings.secret_path('api_key'))}")
    else:
        console.print("  Now:         dagster dev")
    if settings.embedded_postgres:
        password = _short(settings.secret_path("postgres_password"))
        where = f"127.0.0.1:{settings.postgres_port}/postgres"
        console.print(f"  Postgres     {where}, user postgres, password in {password}")
    if settings.embedded_redis:
        password = _short(settings.secret_path("redis_password"))
        console.print(f"  Redis        127.0.0.1:{settings.redis_port}, password in {password}")
    console.print(f"  Logs         {_short(settings.data_dir / 'logs')}")


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn TERM and HUP into what Ctrl-C does, also where a shell started us with SIGINT ignored."""
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(stack: Stack, stopped: threading.Event) -> str | None:
    """Wait for a stop signal (None), or for the supervisor's end (a sentence about it)."""
    try:
        while stack.is_up():
            stopped.wait(1.0)
    except KeyboardInterrupt:
        return None
    return None if stopped.is_set() else "The supervisor has ended; see supervisord.log in the logs folder."

"""``vcon-platform trace UUID``: what happened to one conversation, from the ledger.

Belongs here: fetching what still waits in the outbox, and printing. What is recorded, and where, is the ledger's.
"""

import json as json_text
import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from vcon_platform.commands._shown import shown, visible
from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventKind, LedgerEvent

_STYLES = {
    EventKind.CREATED: "cyan",
    EventKind.DONE: "green",
    EventKind.FILTERED: "yellow",
    EventKind.FAILED: "bold red",
    EventKind.PROJECTED: "green",
    EventKind.UNPROJECTED: "yellow",
}
_LEFT_OUT = {(EventKind.USED, "job")}
_HASH = re.compile(r"[0-9a-f]{40,}")
_WHY = ("reason", "error", "code")  # these come first, and without their names


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(rich_help_panel="Conversations")(trace)


def trace(
    uuid: Annotated[str, typer.Argument(help="The conversation's uuid, as in the table's column or vcon:UUID.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print everything that happened to a conversation, newest last."""
    uuid = uuid.strip().lower().removeprefix("urn:uuid:").removeprefix("vcon:")
    try:
        UUID(uuid)
    except ValueError:
        _give_up("That is no uuid. One looks like 018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f: copy it from a table's row.")
    try:
        events, behind = _story(uuid)
    except PlatformError as error:
        _give_up(str(error))
    if not events:
        _give_up(
            f"The ledger knows no conversation {uuid}. Check the uuid; if its call ended seconds ago, wait a moment "
            "and ask again; 'vcon-platform status' says whether the adapters are at work." + behind
        )
    if behind:
        typer.echo(behind.strip(), err=True)
    if json:
        typer.echo(json_text.dumps([asdict(event) for event in events], ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    console.print(Text.assemble("Conversation ", (uuid, "bold"), f": {len(events)} events, times in UTC"))
    console.print(_table(events))


def _story(uuid: str) -> tuple[list[LedgerEvent], str]:
    """The conversation's events; and what to say if the newest ones could not be fetched from Redis."""
    import redis

    from vcon_platform.ledger.outbox import ship_all
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.settings import load_settings

    settings = load_settings()
    ledger = Ledger(settings.postgres_url())
    behind = ""
    try:
        with redis.Redis.from_url(settings.redis_url(), socket_connect_timeout=5) as client:
            ship_all(client, ledger)
    except redis.RedisError:
        behind = " Redis cannot be reached, so the newest events may be missing."
    return ledger.events_of(uuid), behind


def _give_up(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _table(events: list[LedgerEvent]) -> Table:
    """A line for each event. Day, and pipeline with version and run, stand above those of which they are true, so that
    a terminal of 80 characters has room for what happened."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    day = by = ""
    for event in events:
        at = datetime.fromisoformat(event.at)
        if (told := f"{at:%Y-%m-%d}") != day:
            day = told
            table.add_row(Text(day, "bold"))
        if (told := _by(event)) != by:
            by = told
            if by:
                table.add_row("", "", Text(visible(by), "bold"))
        table.add_row(
            Text(f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"),
            Text(event.event, style=_STYLES.get(event.event, "")),
            shown(": ".join(filter(None, (_versioned(event.processor, event.processor_version), _what(event))))),
        )
    return table


def _by(event: LedgerEvent) -> str:
    run = f"run {event.run_id[:8]}" if event.run_id else ""
    return ", ".join(filter(None, (_versioned(event.pipeline, event.pipeline_version), run)))


def _versioned(name: str | None, version: str | None) -> str:
    return f"{name or ''}@{version}" if version else name or ""


def _what(event: LedgerEvent) -> str:
    detail = {name: value for name, value in event.detail.items() if (event.event, name) not in _LEFT_OUT}
    parts = [_words(detail.pop(name)) for name in _WHY if detail.get(name)]
    parts += [f"{name}={_words(_short(value))}" for name, value in detail.items() if value not in (None, "", [], {})]
    if event.options_hash:
        parts.append(f"options {event.options_hash}")
    if event.revision is not None:
        parts.append(f"revision {event.revision}")
    return ", ".join(parts)


def _short(value: Any) -> Any:
    """Of a long hash its beginning; ``--json`` has all of it."""
    return f"{value[:12]}…" if isinstance(value, str) and _HASH.fullmatch(value) else value


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)

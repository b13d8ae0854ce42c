"""``vcon-platform effects``: what was to be done outside (mails) and is not, and what an operator decides about it.

Belongs here: asking and printing. What a mail says, and to whom, is personal data and is not printed: the summary is.
"""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._shown import shown

if TYPE_CHECKING:
    from vcon_platform.store.effects import EffectsOutbox, KeptEffect, State

app = typer.Typer(no_args_is_help=True, help="Mails and the like: what waits, what was refused, what is uncertain.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Keys = Annotated[list[str], typer.Argument(help="Keys of effects, as 'effects list' shows them.")]


class StateName(StrEnum):
    """States that can be asked for."""

    waiting = "waiting"
    sending = "sending"
    later = "later"
    refused = "refused"
    uncertain = "uncertain"


def _outbox() -> EffectsOutbox:
    from vcon_platform.pipelines.deliveries import effects_outbox
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import check, connect

    client = connect(load_settings().redis_url())
    check(client)
    return effects_outbox(client)


@app.command("list")
def list_effects(
    state: Annotated[StateName | None, typer.Option("--state", help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most effects to show of each state.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what waits, is being sent, is tried again later, was refused, or is uncertain."""
    from vcon_platform.store.effects import STATES

    outbox = _outbox()
    states: list[State] = [state.value] if state else list(STATES)
    found = [(each, effect) for each in states for effect in outbox.entries(each, limit)]
    counts = outbox.counts()
    if as_json:
        entries = [{"state": each, **_about(effect)} for each, effect in found]
        typer.echo(json_text.dumps({"counts": counts, "effects": entries}))
        return
    if found:
        table = Table(box=None, header_style="bold")
        for header in ("key", "state", "since or due", "tries", "pipeline/step", "vCon", "what", "why"):
            table.add_column(header, overflow="fold")
        for each, effect in found:
            moment = effect.since or effect.at
            table.add_row(
                effect.key,
                each,
                datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds"),
                str(effect.tries),
                shown(f"{effect.pipeline}/{effect.step}"),
                shown(effect.vcon_uuid),
                shown(effect.summary),
                shown(effect.reason),
            )
        Console().print(table)
    typer.echo(", ".join(f"{counts[each]} {each}" for each in (*STATES, "sent")) + " (sent: of the last 90 days).")


def _about(effect: KeptEffect) -> dict[str, object]:
    names = ("key", "vcon_uuid", "pipeline", "step", "processor", "summary", "at", "since", "tries", "reason")
    return {name: getattr(effect, name) for name in names}


@app.command("resend")
def resend_effects(keys: Keys) -> None:
    """Have effects tried again that were refused, are uncertain, or are due later."""
    outbox = _outbox()
    for key in keys:
        effect = outbox.resend(key)
        typer.echo(f"{key} waits again: {effect.summary or effect.processor}.")


@app.command("drop")
def drop_effects(keys: Keys) -> None:
    """Give effects up that wait, were refused, are uncertain, or are due later. The ledger is told."""
    outbox = _outbox()
    for key in keys:
        effect = outbox.drop(key)
        typer.echo(f"{key} is given up: {effect.summary or effect.processor}.")


@app.command("forget")
def forget_effects(keys: Keys) -> None:
    """Forget that effects were sent: if their pipeline is run again, they are sent again."""
    outbox = _outbox()
    unknown = [key for key in keys if not outbox.forget(key)]
    typer.echo(f"{len(keys) - len(unknown)} forgotten.")
    for key in unknown:
        typer.echo(f"{key} was not sent in the last 90 days.", err=True)
    raise typer.Exit(1 if unknown else 0)

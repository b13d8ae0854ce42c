"""``vcon-platform keys``: who may use the REST API, and for what.

Belongs here: asking and printing. What a key is, is the room ``access/``.
"""

from __future__ import annotations

import json as json_text
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._shown import shown

if TYPE_CHECKING:
    from vcon_platform.access.keys import Key, KeyStore

app = typer.Typer(no_args_is_help=True, help="API keys: make, list, revoke.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _store() -> KeyStore:
    from vcon_platform.access.keys import KeyStore
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import connect

    return KeyStore(connect(load_settings().redis_url()))


@app.command("create")
def create_key(
    label: Annotated[str, typer.Argument(help="Whose it is, or what for.")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            "-s",
            help="What it may do: read, ingest, ingest:QUEUE, process, operate, erase, admin. May be repeated.",
        ),
    ],
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 30d, 12h, 15m, or a moment (2027-01-31T00:00:00Z).")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose conversations it is for; for your own records.")] = "",
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", help="Show only vCons that came by this adapter. May be repeated.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME:VALUE", help="Show only vCons that have this tag. May be repeated."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Requests per second that it may make; 0: no limit.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once; what is kept is a hash."""
    from vcon_platform.access.caller import Visible

    visible = Visible(tuple(adapter or ()), tuple(_tag(each) for each in tag or ()))
    key, text = _store().create(
        label, scope, tenant=tenant, expires_at=_moment(expires) if expires else None, visible=visible, rate=rate
    )
    if as_json:
        typer.echo(json_text.dumps({**key.to_json(), "key": text}))
        return
    typer.echo(text)
    typer.secho("Keep it now: it cannot be shown again.", fg=typer.colors.YELLOW, err=True)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, those that have expired or were revoked too."""
    found = _store().list()
    if as_json:
        typer.echo(json_text.dumps([key.to_json() for key in found]))
        return
    table = Table(box=None, header_style="bold")
    for header in ("key", "label", "state", "scopes", "shows", "rate", "created", "expires"):
        table.add_column(header, overflow="fold")
    for key in found:
        table.add_row(
            key.id,
            shown(key.label),
            key.state(),
            " ".join(key.scopes),
            shown(_shows(key)),
            f"{key.rate:g}/s" if key.rate else "",
            key.created_at,
            key.expires_at,
        )
    Console().print(table)
    typer.echo("The administrator's key is the file secrets/api_key of the data folder.", err=True)


@app.command("revoke")
def revoke_keys(ids: Annotated[list[str], typer.Argument(metavar="KEY...", help="Ids, as list shows them.")]) -> None:
    """End keys for good, within two seconds."""
    store = _store()
    for id in ids:
        key = store.revoke(id)
        typer.echo(f"{key.id} ({key.label}) is revoked.")


def _shows(key: Key) -> str:
    parts = [*(f"from {each}" for each in key.visible.adapters), *key.visible.tags]
    return ", ".join(parts) or "all"


def _tag(text: str) -> str:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not name or not colon:
        raise typer.BadParameter(f"--tag {text!r}: write NAME:VALUE")
    return f"{name}:{value}"


def _moment(text: str) -> datetime:
    """In 30 days, or a moment of its own."""
    if found := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--expires {text!r}: write 30d, 12h, 15m, or 2027-01-31T00:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

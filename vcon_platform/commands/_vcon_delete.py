"""``vcon-platform vcon delete``: vCons leave this installation.

Belongs here: which, asking, and telling. Not here: what deleting means (``store/removing.py``), reaching what was sent
to others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from vcon_platform.commands._vcon_given import give_up, store, uuid_of

BY = "cli"
"""Whose doing it is, for the ledger."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("delete")(delete)


def delete(
    uuids: Annotated[list[str], typer.Argument(metavar="UUID...", help="Which; - reads them from stdin, one a line.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    revision: Annotated[
        int | None, typer.Option(min=1, help="Only if it is at this revision, as 'vcon show' was; for one vCon.")
    ] = None,
) -> None:
    """Delete vCons: from Redis, search, archive and tables. What was sent to others stays there.

    The deleted ones' uuids are printed. Exits with 1 if one was not there; the others are deleted.
    """
    from vcon_platform.pipelines.removal import remove
    from vcon_platform.store.documents import Missing
    from vcon_platform.store.removing import RevisionChanged

    chosen = list(dict.fromkeys(uuid_of(each) for each in _named(uuids)))
    if revision is not None and len(chosen) != 1:
        give_up("--revision: of one vCon only.")
    if not yes:
        _ask(len(chosen))
    opened, failed = store(), False
    for uuid in chosen:
        try:
            remove(opened, uuid, by=BY, expect=revision)
        except Missing:
            failed = True
            typer.echo(f"{uuid} is not here (any more).", err=True)
        except RevisionChanged as error:
            failed = True
            typer.echo(f"{error}. Nothing was deleted; look at it again.", err=True)
        else:
            typer.echo(uuid)
    raise typer.Exit(1 if failed else 0)


def _named(given: list[str]) -> Iterator[str]:
    for each in given:
        if each == "-":
            yield from filter(None, map(str.strip, sys.stdin))
        else:
            yield each


def _ask(count: int) -> None:
    what = "this vCon" if count == 1 else f"{count} vCons"
    if not sys.stdin.isatty():
        give_up(f"Nobody is there to be asked whether {what} should go: add --yes.")
    if not typer.confirm(f"Delete {what} for good?", err=True):
        raise typer.Exit(1)

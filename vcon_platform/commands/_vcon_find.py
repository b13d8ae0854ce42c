"""``vcon-platform vcon list`` and ``search``: which vCons there are.

Belongs here: options into a question, uuids onto the screen. Not here: finding (``store/search.py``,
``store/listing.py``).
"""

from __future__ import annotations

import json as json_text
from typing import TYPE_CHECKING, Annotated

import typer

from vcon_platform.commands._vcon_given import AsJson, moment, store

if TYPE_CHECKING:
    from vcon_platform.store.paging import Page

Text = Annotated[str | None, typer.Argument(help='Words, and "phrases", of what was said or written.')]
Tel = Annotated[str | None, typer.Option(help="Number of a party, in any spelling, or an extension.")]
Mailto = Annotated[str | None, typer.Option(help="E-mail address of a party.")]
Name = Annotated[str | None, typer.Option(help="Whole name of a party; capitals do not matter.")]
Tag = Annotated[str | None, typer.Option(help="A tag, as key:value.")]
Analysis = Annotated[str | None, typer.Option(help="Type of an analysis, e.g. transcript.")]
Dialog = Annotated[str | None, typer.Option(help="Type of a dialog, e.g. recording.")]
Adapter = Annotated[str | None, typer.Option(help="Where it came from: freeswitch, api, cli…")]
State = Annotated[str | None, typer.Option(help="ready, opaque or parked.")]
Since = Annotated[str | None, typer.Option(help="Created at or after, e.g. 2026-11-01 or 2026-11-01T09:00Z.")]
Until = Annotated[str | None, typer.Option(help="Created before this time.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="vCons on a page.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where a page ended: what it printed as --cursor.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("list")(list_)
    app.command("search")(search)


def list_(
    since: Since = None, until: Until = None, limit: Limit = 20, cursor: Cursor = None, as_json: AsJson = False
) -> None:
    """List the vCons, newest first: their uuids on stdout, the count on stderr. Asks no search index."""
    from vcon_platform.store.listing import Listing

    page = Listing(store().client).page(
        created_from=moment(since, "--since"), created_to=moment(until, "--until"), limit=limit, cursor=cursor
    )
    _print(page, as_json)


def search(
    text: Text = None,
    tel: Tel = None,
    mailto: Mailto = None,
    name: Name = None,
    tag: Tag = None,
    analysis: Analysis = None,
    dialog: Dialog = None,
    adapter: Adapter = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Find vCons; all of what is asked must be true of them. Newest first: their uuids on stdout, the count on stderr.

    Without a question: all vCons.
    """
    from vcon_platform.store.search_query import SearchQuery

    index = store().index
    index.ensure()
    query = SearchQuery(
        text=text,
        tel=tel,
        mailto=mailto,
        name=name,
        tag=tag,
        analysis=analysis,
        dialog=dialog,
        adapter=adapter,
        state=state,
        created_from=moment(since, "--since"),
        created_to=moment(until, "--until"),
        limit=limit,
        cursor=cursor,
    )
    _print(index.search(query), as_json)


def _print(page: Page, as_json: bool) -> None:
    if as_json:
        typer.echo(json_text.dumps({"uuids": page.uuids, "cursor": page.cursor, "total": page.total}))
        return
    for uuid in page.uuids:
        typer.echo(uuid)
    more = f"; more: --cursor {page.cursor}" if page.cursor else ""
    typer.echo(f"{len(page.uuids)} of {page.total}{more}", err=True)
    if not page.complete:
        typer.echo("The index is still being built: there may be more.", err=True)

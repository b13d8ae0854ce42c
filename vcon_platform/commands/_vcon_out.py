"""``vcon-platform vcon show`` (``get``), ``original``, ``bundle`` and ``export``: vCons out of this installation.

Belongs here: which vCons, in which form, to which file. Not here: writing documents (``store/media_documents.py``) and
bundles (``vcon/bundle_writing.py``), older versions (``vcon/export.py``).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from itertools import batched, chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vcon_platform.commands._progress import progress
from vcon_platform.commands._shown import visible
from vcon_platform.commands._vcon_find import (
    Adapter,
    Analysis,
    Dialog,
    Mailto,
    Name,
    Since,
    State,
    Tag,
    Tel,
    Text,
    Until,
)
from vcon_platform.commands._vcon_given import Output, Uuid, give_up, moment, store, uuid_of, write_file, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vcon_platform.store.opening import Store
    from vcon_platform.store.paging import Page
    from vcon_platform.store.search_query import SearchQuery
    from vcon_platform.vcon.document import Vcon
    from vcon_platform.vcon.export import ExportVersion

_PAGE = 200
_AT_ONCE = 50


class Version(StrEnum):
    """The forms that a vCon is written in."""

    CURRENT = "current"
    V040 = "0.4.0"
    V002 = "0.0.2"
    V001 = "0.0.1"
    CONSERVER = "conserver"


InVersion = Annotated[Version, typer.Option("--version", help="Draft version; current: as kept.")]
References = Annotated[bool, typer.Option("--references", help="Leave long bodies in the media store.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("show")(show)
    app.command("get", help="The same as 'show'.")(show)
    app.command("original")(original)
    app.command("bundle")(bundle)
    app.command("export")(export_)


def show(
    uuid: Uuid,
    version: InVersion = Version.CURRENT,
    references: References = False,
    output: Output = None,
) -> None:
    """Write a vCon to stdout as JSON, bodies included."""
    opened = store()
    vcon = opened.documents.read_one(uuid_of(uuid))
    write_text(_written(opened, vcon, version, references), output)


def _written(opened: Store, vcon: Vcon, version: Version, references: bool) -> Iterator[bytes]:
    from vcon_platform.store.media_documents import write_document
    from vcon_platform.vcon.document import Vcon
    from vcon_platform.vcon.export import export

    data = vcon.data if version is Version.CURRENT else export(vcon.data, cast("ExportVersion", version.value))
    return iter([Vcon(data).to_bytes()]) if references else write_document(opened.media, data)


def original(
    uuid: Uuid,
    revision: Annotated[
        int | None, typer.Option("--revision", min=1, help="Which of the posted revisions; default: the last.")
    ] = None,
) -> None:
    """Write the bytes exactly as they were posted to stdout, gzip included."""
    from vcon_platform.store.originals import find_original, original_bytes

    opened = store()
    found = find_original(opened.documents, uuid_of(uuid), revision=revision)
    sys.stdout.buffer.writelines(original_bytes(found, opened.media))


def bundle(
    uuids: Annotated[list[str], typer.Argument(help="The vCons' uuids.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, e.g. calls.vconz.")],
) -> None:
    """Write vCons, bodies included, into one .vconz file; 'add' takes it in again, here or elsewhere."""
    from vcon_platform.store.media_documents import write_document
    from vcon_platform.vcon.bundle_writing import write_bundle

    opened = store()
    chosen = dict.fromkeys(uuid_of(each) for each in uuids)
    documents = (
        (uuid, b"".join(write_document(opened.media, opened.documents.read_one(uuid).data))) for uuid in chosen
    )
    try:
        write_bundle(output, documents)
    except OSError as error:
        give_up(f"{output}: {error.strerror}")
    typer.echo(f"{output}: {len(chosen)} vCons")


def export_(
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
    version: InVersion = Version.CURRENT,
    references: References = False,
    output: Annotated[
        str | None,  # a Path forgets the slash at its end
        typer.Option("--output", "-o", help="A file for the lines, or a folder (FOLDER/) for files UUID.vcon.json."),
    ] = None,
) -> None:
    """Write many vCons as lines (NDJSON), newest first: those that 'search' finds with the same options, all pages.

    Into a folder that is there, or is named with a slash at its end: one file each.
    """
    from vcon_platform.store.search_query import SearchQuery

    opened = store()
    opened.index.ensure()
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
        limit=_PAGE,
    )
    pages = _pages(opened, query)
    first = next(pages)
    told = _Told()
    with progress("exporting", first.total) as advance:
        vcons = _documents(opened, chain((first,), pages), told, advance)
        if output is not None and (output.endswith("/") or Path(output).is_dir()):
            _into_folder(Path(output), vcons, lambda vcon: _written(opened, vcon, version, references))
        else:
            lines = (piece for vcon in vcons for piece in chain(_written(opened, vcon, version, references), (b"\n",)))
            if output is not None:
                write_file(lines, Path(output))
            else:
                sys.stdout.buffer.writelines(lines)
                sys.stdout.flush()
    typer.echo(f"{told.written} vCons" + (f"; {told.gone} left meanwhile" if told.gone else ""), err=True)
    if not first.complete:
        give_up("The index is still being built: there may be more. Export again when it is.", 1)


class _Told:
    """How many were written; ``gone``: erased between finding and reading them."""

    written = gone = 0


def _pages(opened: Store, query: SearchQuery) -> Iterator[Page]:
    while True:
        page = opened.index.search(query)
        yield page
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


def _documents(opened: Store, pages: Iterator[Page], told: _Told, advance: Callable[[float], None]) -> Iterator[Vcon]:
    for page in pages:
        for uuids in batched(page.uuids, _AT_ONCE):
            found = opened.documents.read(uuids)
            told.gone += len(uuids) - len(found)
            for vcon in found.values():
                yield vcon
                told.written += 1
                advance(1)


def _into_folder(folder: Path, vcons: Iterator[Vcon], written: Callable[[Vcon], Iterator[bytes]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        give_up(f"{visible(str(folder))} cannot be made: {error.strerror}.", 1)
    for vcon in vcons:
        write_file(written(vcon), folder / f"{vcon.uuid}.vcon.json")

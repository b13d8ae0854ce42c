"""``vcon-platform vcon``: vCons in and out of this installation, from the command line.

Belongs here: files, arguments and printing. What happens to a vCon is the door's and the store's affair.
"""

from __future__ import annotations

import json as json_text
import re
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._shown import shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcon_platform.ingress.answer import Answer, Source
    from vcon_platform.ingress.door import Door
    from vcon_platform.store.opening import Store
    from vcon_platform.vcon.export import ExportVersion
    from vcon_platform.vcon.faults import Rejected

app = typer.Typer(no_args_is_help=True, help="vCons in and out: add files, search, show one and what is known of it.")

SOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Uuid = Annotated[str, typer.Argument(help="The vCon's uuid; also as vcon:UUID or urn:uuid:UUID.")]


class Version(StrEnum):
    """The forms that ``show`` writes."""

    CURRENT = "current"
    V040 = "0.4.0"
    V002 = "0.0.2"
    V001 = "0.0.1"
    CONSERVER = "conserver"


def _store() -> Store:
    from vcon_platform.settings import load_settings
    from vcon_platform.store.opening import open_store

    return open_store(load_settings())


def _uuid(given: str) -> str:
    from vcon_platform.vcon.gates import canonical_uuid

    uuid = canonical_uuid(given.strip().removeprefix("vcon:"))
    if uuid is None:
        _give_up("That is no uuid. One looks like 018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f.")
    return uuid


def _give_up(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


@app.command("add")
def add(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="vCons (unsigned, signed, encrypted; also gzipped) or bundles (.vconz); -: a vCon on stdin."
        ),
    ],
    queue: Annotated[
        list[str] | None, typer.Option("--queue", "-q", help="Pipeline that is to process them; may be repeated.")
    ] = None,
    source: Annotated[str, typer.Option("--source", help="Where they come from; found by --adapter.")] = "cli",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what would otherwise only be remarked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take vCons in: they are archived, stored, searchable and queued when this returns.

    Exits with 1 if any was refused or cannot be read; the others are in.
    """
    from vcon_platform.ingress.answer import Source
    from vcon_platform.ingress.opening import open_door, zone_of
    from vcon_platform.settings import load_settings
    from vcon_platform.vcon.faults import Rejected

    if not SOURCE.fullmatch(source):
        _give_up("--source: write a name of small letters, digits and '_' that begins with a letter.")
    settings = load_settings()
    store = _store()
    door = open_door(settings, store)
    origin = Source(source, tuple(dict.fromkeys(queue or ())), strict, zone=zone_of(settings))
    refused = 0
    for path in files:
        with ExitStack() as held:
            try:
                stream: IO[bytes] = sys.stdin.buffer if str(path) == "-" else held.enter_context(path.open("rb"))
            except OSError as error:
                refused += 1
                _tell_unread(str(path), error, as_json)
                continue
            for name, answer in _taken(door, store, path, stream, origin):
                refused += isinstance(answer, Rejected)
                _tell(name, answer, as_json)
    raise typer.Exit(1 if refused else 0)


def _taken(
    door: Door, store: Store, path: Path, stream: IO[bytes], origin: Source
) -> Iterator[tuple[str, Answer | Rejected]]:
    """What became of a file's document, or of each document of a bundle."""
    from vcon_platform.ingress.bundles import take_bundle
    from vcon_platform.vcon.faults import Rejected

    try:
        if path.suffix.lower() == ".vconz":
            for name, answer in take_bundle(door, store.media, stream, origin):
                yield f"{path}:{name}", answer
        else:
            yield str(path), door.take(stream, origin)
    except Rejected as rejected:
        yield str(path), rejected


def _tell_unread(path: str, error: OSError, as_json: bool) -> None:
    why = error.strerror or type(error).__name__
    if as_json:
        typer.echo(json_text.dumps({"file": path, "outcome": "unread", "message": why}))
    else:
        typer.echo(f"{visible(path)}: {why}", err=True)


def _tell(path: str, answer: Answer | Rejected, as_json: bool) -> None:
    from vcon_platform.vcon.faults import Rejected

    told = answer.faults if isinstance(answer, Rejected) else answer.findings
    lines = [{"code": each.code, "pointer": each.pointer, "message": each.message} for each in told]
    if as_json:
        what: dict[str, Any] = {"file": path, "status": answer.status}
        if isinstance(answer, Rejected):
            what |= {"outcome": "refused", "faults": lines}
        else:
            what |= {
                "outcome": str(answer.outcome),
                "uuid": answer.uuid,
                "revision": answer.revision,
                "form": answer.form,
                "state": answer.state,
                "findings": lines,
            }
        typer.echo(json_text.dumps(what))
        return
    if isinstance(answer, Rejected):
        typer.echo(f"{visible(path)}: refused", err=True)
    else:
        extra = "" if answer.state == "ready" else f", {answer.state}"
        typer.echo(f"{visible(path)}: {answer.outcome} {answer.uuid}, revision {answer.revision}{extra}")
    for each in told:
        line = visible(f"{each.pointer or '/'}  {each.code}: {each.message}")
        typer.echo(f"  {line}", err=isinstance(answer, Rejected))


@app.command("show")
def show(
    uuid: Uuid,
    version: Annotated[Version, typer.Option("--version", help="Draft version; current: as kept.")] = Version.CURRENT,
    references: Annotated[bool, typer.Option("--references", help="Leave long bodies in the media store.")] = False,
) -> None:
    """Write a vCon to stdout as JSON, bodies included."""
    from codecs import iterdecode

    from vcon_platform.store.media_documents import write_document
    from vcon_platform.vcon.document import Vcon
    from vcon_platform.vcon.export import export

    store, vcon = _read(uuid)
    data = vcon.data if version is Version.CURRENT else export(vcon.data, cast("ExportVersion", version.value))
    pieces = iter([Vcon(data).to_bytes()]) if references else write_document(store.media, data)
    if sys.stdout.isatty():
        for text in iterdecode(pieces, "utf-8"):
            typer.echo(visible(text), nl=False)
    else:
        sys.stdout.buffer.writelines(pieces)
    typer.echo()


def _read(uuid: str) -> tuple[Store, Any]:
    store = _store()
    return store, store.documents.read_one(_uuid(uuid))


@app.command("original")
def original(
    uuid: Uuid,
    revision: Annotated[
        int | None, typer.Option("--revision", min=1, help="Which of the posted revisions; default: the last.")
    ] = None,
) -> None:
    """Write the bytes exactly as they were posted to stdout, gzip included."""
    from vcon_platform.store.originals import find_original, original_bytes

    store = _store()
    found = find_original(store.documents, _uuid(uuid), revision=revision)
    sys.stdout.buffer.writelines(original_bytes(found, store.media))


@app.command("bundle")
def bundle(
    uuids: Annotated[list[str], typer.Argument(help="The vCons' uuids.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, e.g. calls.vconz.")],
) -> None:
    """Write vCons, bodies included, into one .vconz file; 'add' takes it in again, here or elsewhere."""
    from vcon_platform.store.media_documents import write_document
    from vcon_platform.vcon.bundle_writing import write_bundle

    store = _store()
    chosen = dict.fromkeys(_uuid(each) for each in uuids)
    documents = ((uuid, b"".join(write_document(store.media, store.documents.read_one(uuid).data))) for uuid in chosen)
    try:
        write_bundle(output, documents)
    except OSError as error:
        _give_up(f"{output}: {error.strerror}")
    typer.echo(f"{output}: {len(chosen)} vCons")


@app.command("report")
def report(uuid: Uuid, as_json: AsJson = False) -> None:
    """Print the conformance report: where the vCon, as it was posted last, departs from the current draft."""
    from vcon_platform.ingress.reports import report_of

    told = report_of(_store(), _uuid(uuid))
    if as_json:
        typer.echo(json_text.dumps(told.to_json()))
        return
    verdict = "conforms to" if told.conformant else "does not conform to"
    typer.echo(f"vCon {_uuid(uuid)} {verdict} {told.schema}; signature: {told.signature}")
    sections = {
        "Schema": [(f"({each.of}) {each.pointer}", each.message) for each in told.schema_errors],
        "Missing": [(each.pointer, f"{each.level} have {each.member}") for each in told.missing],
        "Outside content": [
            (each.pointer, f"{each.scheme}://{each.host}" + (f": {each.blocked}" if each.blocked else ""))
            for each in told.external
        ],
        "Found while it was taken in": [(each.pointer, f"{each.code}: {each.message}") for each in told.warnings],
    }
    for title, lines in sections.items():
        if lines:
            typer.echo(f"\n{title}")
            for pointer, message in lines:
                typer.echo(f"  {visible(pointer or '/')}  {visible(message)}")


@app.command("turns")
def turns_of(uuid: Uuid, as_json: AsJson = False) -> None:
    """Print who said what, and when (in seconds from the start of its dialog)."""
    from dataclasses import asdict

    from vcon_platform.vcon.turns import turns

    _, vcon = _read(uuid)
    found = turns(vcon)
    if as_json:
        typer.echo(json_text.dumps([asdict(turn) for turn in found]))
        return
    table = Table(box=None, header_style="bold")
    for header in ("dialog", "start", "who", "text"):
        table.add_column(header, overflow="fold")
    for turn in found:
        who = "" if turn.party is None else f"party {turn.party}"
        start = "" if turn.start is None else f"{turn.start:.1f}"
        table.add_row(
            "" if turn.dialog is None else str(turn.dialog), start, shown(who or turn.speaker or ""), shown(turn.text)
        )
    Console().print(table)


@app.command("search")
def search(
    text: Annotated[str | None, typer.Argument(help='Words, and "phrases", of what was said or written.')] = None,
    tel: Annotated[str | None, typer.Option(help="Number of a party, in any spelling, or an extension.")] = None,
    mailto: Annotated[str | None, typer.Option(help="E-mail address of a party.")] = None,
    name: Annotated[str | None, typer.Option(help="Whole name of a party; capitals do not matter.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag, as key:value.")] = None,
    analysis: Annotated[str | None, typer.Option(help="Type of an analysis, e.g. transcript.")] = None,
    dialog: Annotated[str | None, typer.Option(help="Type of a dialog, e.g. recording.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Where it came from: freeswitch, api, cli…")] = None,
    state: Annotated[str | None, typer.Option(help="ready, opaque or parked.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Created at or after, e.g. 2026-11-01 or 2026-11-01T09:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Created before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="vCons on a page.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where a page ended: what it printed as --cursor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find vCons; all of what is asked must be true of them. Newest first: their uuids on stdout, the count on stderr.

    Without a question: all vCons.
    """
    from vcon_platform.store.search_query import SearchQuery

    store = _store()
    index = store.index
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
        created_from=_moment(since),
        created_to=_moment(until),
        limit=limit,
        cursor=cursor,
    )
    page = index.search(query)
    if as_json:
        typer.echo(json_text.dumps({"uuids": page.uuids, "cursor": page.cursor, "total": page.total}))
        return
    for uuid in page.uuids:
        typer.echo(uuid)
    more = f"; more: --cursor {page.cursor}" if page.cursor else ""
    typer.echo(f"{len(page.uuids)} of {page.total}{more}", err=True)
    if not page.complete:
        typer.echo("The index is still being built: there may be more.", err=True)


def _moment(text: str | None) -> Any:
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _give_up(f"{text!r} is no date and time; write 2026-11-01 or 2026-11-01T09:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

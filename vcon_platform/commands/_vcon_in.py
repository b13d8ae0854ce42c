"""``vcon-platform vcon add`` and ``import``: vCons into this installation.

Belongs here: files, lines and folders into documents, answers onto the screen. What becomes of a document is the door's
affair (``ingress/``).
"""

from __future__ import annotations

import json as json_text
import re
import sys
from contextlib import ExitStack
from itertools import batched
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from vcon_platform.commands._progress import progress
from vcon_platform.commands._shown import visible
from vcon_platform.commands._vcon_given import AsJson, give_up, settings, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vcon_platform.ingress.answer import Answer, Source
    from vcon_platform.ingress.door import Door
    from vcon_platform.store.opening import Store
    from vcon_platform.vcon.faults import Rejected

SOURCE = re.compile(r"[a-z][a-z0-9_]{0,62}")
AT_ONCE = 100
"""Documents that are taken in together."""
LONGEST_LINE = 64 << 20
"""Bytes of a line. A longer document: ``vcon add``, which streams."""
SUFFIXES = (".json", ".vcon", ".gz", ".vconz")
"""Files of a folder that are imported, with those in folders below it."""

Queues = Annotated[
    list[str] | None, typer.Option("--queue", "-q", help="Pipeline that is to process them; may be repeated.")
]
FromSource = Annotated[str, typer.Option("--source", help="Where they come from; found by --adapter.")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse what would otherwise only be remarked.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("add")(add)
    app.command("import")(import_)


def add(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="vCons (unsigned, signed, encrypted; also gzipped) or bundles (.vconz); -: a vCon on stdin."
        ),
    ],
    queue: Queues = None,
    source: FromSource = "cli",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Take vCons in: they are archived, stored, searchable and queued when this returns.

    Exits with 1 if any was refused or cannot be read; the others are in.
    """
    door, opened, origin = _doorway(source, queue, strict)
    refused = 0
    for path in files:
        refused += _add_file(door, opened, path, origin, as_json)
    raise typer.Exit(1 if refused else 0)


def import_(
    where: Annotated[
        str, typer.Argument(metavar="FILE|FOLDER", help="Lines of vCons (NDJSON), - for stdin; or a folder of vCons.")
    ],
    queue: Queues = None,
    source: FromSource = "cli",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Take many vCons in: lines as 'export' writes them, or every vCon and bundle of a folder.

    Those that were refused are told; the others are in, and importing all again does no harm. Exits with 1 if any was
    refused.
    """
    door, opened, origin = _doorway(source, queue, strict)
    folder = Path(where)
    if where != "-" and folder.is_dir():
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        counted = _Counted()
        with progress("importing", len(files)) as advance:
            for path in files:
                _add_file(door, opened, path, origin, as_json, counted)
                advance(1)
    else:
        counted = _import_lines(door, where, origin, as_json)
    typer.echo(counted.told(), err=True)
    raise typer.Exit(1 if counted.refused else 0)


class _Counted:
    """What became of many."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.refused = 0

    def count(self, answer: Answer | Rejected | None) -> None:
        """None: it could not be read."""
        outcome = getattr(answer, "outcome", None)
        if outcome is None:
            self.refused += 1
        else:
            self.outcomes[str(outcome)] = self.outcomes.get(str(outcome), 0) + 1

    def told(self) -> str:
        parts = [f"{number} {outcome}" for outcome, number in sorted(self.outcomes.items())]
        return ", ".join([*parts, f"{self.refused} refused"] if self.refused else parts) or "nothing to import"


def _doorway(source: str, queue: list[str] | None, strict: bool) -> tuple[Door, Store, Source]:
    from vcon_platform.ingress.answer import Source
    from vcon_platform.ingress.opening import open_door, zone_of

    if not SOURCE.fullmatch(source):
        give_up("--source: write a name of small letters, digits and '_' that begins with a letter.")
    own, opened = settings(), store()
    origin = Source(source, tuple(dict.fromkeys(queue or ())), strict, zone=zone_of(own))
    return open_door(own, opened), opened, origin


def _import_lines(door: Door, where: str, origin: Source, as_json: bool) -> _Counted:
    counted = _Counted()
    with ExitStack() as held:
        try:
            stream: IO[bytes] = sys.stdin.buffer if where == "-" else held.enter_context(Path(where).open("rb"))
        except OSError as error:
            give_up(f"{visible(where)}: {error.strerror or type(error).__name__}")
        size = None if where == "-" else Path(where).stat().st_size
        advance = held.enter_context(progress("importing", size, of_bytes=True))

        def too_long(number: int) -> None:
            counted.count(None)
            why = f"it has more than {LONGEST_LINE >> 20} MiB; take such a vCon in with 'vcon add'"
            _tell_unread(f"line {number}", why, as_json)

        for some in batched(_lines(stream, too_long), AT_ONCE):
            answers = door.take_many([line for _, line in some], origin)
            for (number, line), answer in zip(some, answers, strict=True):
                counted.count(answer)
                advance(len(line) + 1)
                if as_json or getattr(answer, "outcome", None) is None:  # a line for each good one says too much
                    _tell(f"line {number}", answer, as_json)
    return counted


def _lines(stream: IO[bytes], too_long: Callable[[int], None]) -> Iterator[tuple[int, bytes]]:
    """Lines that hold something, with their numbers; one that is too long is passed over and told."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
            too_long(number)
        elif stripped := line.strip():
            yield number, stripped


def _add_file(
    door: Door, opened: Store, path: Path, origin: Source, as_json: bool, counted: _Counted | None = None
) -> int:
    """How many documents of a file were refused."""
    from vcon_platform.vcon.faults import Rejected

    refused = 0
    with ExitStack() as held:
        try:
            stream: IO[bytes] = sys.stdin.buffer if str(path) == "-" else held.enter_context(path.open("rb"))
        except OSError as error:
            _tell_unread(str(path), error.strerror or type(error).__name__, as_json)
            if counted is not None:
                counted.count(None)
            return 1
        for name, answer in _taken(door, opened, path, stream, origin):
            refused += isinstance(answer, Rejected)
            if counted is not None:
                counted.count(answer)
            if counted is None or as_json or isinstance(answer, Rejected):
                _tell(name, answer, as_json)
    return refused


def _taken(
    door: Door, opened: Store, path: Path, stream: IO[bytes], origin: Source
) -> Iterable[tuple[str, Answer | Rejected]]:
    """What became of a file's document, or of each document of a bundle."""
    from vcon_platform.ingress.bundles import take_bundle
    from vcon_platform.vcon.faults import Rejected

    try:
        if path.suffix.lower() == ".vconz":
            for name, answer in take_bundle(door, opened.media, stream, origin):
                yield f"{path}:{name}", answer
        else:
            yield str(path), door.take(stream, origin)
    except Rejected as rejected:
        yield str(path), rejected


def _tell_unread(path: str, why: str, as_json: bool) -> None:
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

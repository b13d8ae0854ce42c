"""``vcon-platform projections preview``, ``plan`` and ``export``: rows before they land, tables before they change, and
rows that have landed.

Belongs here: printing and files. Not here: rows (``projections/building.py``), tables (each destination), formats
(``projections/exporting.py``).
"""

from __future__ import annotations

import json as json_text
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from vcon_platform.commands._shown import shown, visible
from vcon_platform.commands._vcon_given import AsJson, Given, Output, document_of, give_up, settings

if TYPE_CHECKING:
    from vcon_platform.projections.model import Projection
    from vcon_platform.projections.outcome import Outcome
    from vcon_platform.projections.rows import RowSet
    from vcon_platform.vcon.document import Vcon

Name = Annotated[str, typer.Argument(help="The projection's name.")]
_SHOWN = 200
"""Characters of a value that are printed."""


class Format(StrEnum):
    """The formats of an export."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


def preview(
    given: Given,
    name: Annotated[str, typer.Option("--projection", "-p", help="Only this projection.")] = "",
    declaration: Annotated[
        Path | None,
        typer.Option(
            "--declaration", "-d", exists=True, dir_okay=False, help="A declaration that is not in the folder."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the rows that a conversation has by the declarations of now; nothing is written.

    The verdict is how the conversation's way through the projection's pipelines ended; for a file, or where none has
    ended yet, that it is done. Exits with 1 if a row does not fit its columns.

    [bold]Example[/bold]: vcon-platform projections preview call.vcon -d my_table.yaml
    """
    from vcon_platform.projections.errors import RowError
    from vcon_platform.projections.fitting import fitted
    from vcon_platform.projections.rows import build_rows
    from vcon_platform.projections.values import fit

    projections = _projections(name, declaration)
    vcon = document_of(given)
    answers: list[dict[str, Any]] = []
    for projection in projections:
        outcome = _outcome(projection, vcon)
        try:
            rows = build_rows(projection, vcon, outcome)
        except RowError as error:
            give_up(visible(str(error)), 1)
        _, rejected = fitted(projection, [rows], fit)
        answers.append(
            {
                "projection": projection.name,
                "day": rows.day,
                "hash": rows.hash,
                "verdict": outcome.verdict,
                "rows": [dict(row) for row in rows.rows],
                "rejected": [{"column": each.column, "reason": each.reason} for each in rejected],
            }
        )
        if not as_json:
            _print_rows(projection, rows, outcome, [f"{each.column or '?'}: {each.reason}" for each in rejected])
    if as_json:
        typer.echo(json_text.dumps(answers))
    if any(answer["rejected"] for answer in answers):
        raise typer.Exit(1)


def _projections(name: str, declaration: Path | None) -> list[Projection]:
    from vcon_platform.projections.catalogue import load_projections, parse_projection
    from vcon_platform.projections.reading import declared

    if declaration is not None:
        try:
            return [parse_projection(declaration.read_text(encoding="utf-8"), declaration.name)]
        except UnicodeDecodeError:
            give_up(f"{visible(declaration.name)} is no UTF-8 text.")
    if name:
        return [declared(name, settings())]
    return list(load_projections(settings().pipelines_dir / "projections").values())


def _outcome(projection: Projection, vcon: Vcon) -> Outcome:
    """What the attachment says, else the ledger, else that it is done."""
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.projections.outcome import Outcome
    from vcon_platform.projections.rows import find_outcome

    found = find_outcome(vcon, projection.name)
    if found is None and vcon.revision:  # stored: it may have gone through a pipeline
        found = Ledger(settings().postgres_url()).outcomes_of(projection.pipelines, [vcon.uuid]).get(vcon.uuid)
    return found or Outcome(pipeline=projection.pipelines[0], pipeline_version="", verdict="done")


def _print_rows(projection: Projection, rows: RowSet, outcome: Outcome, rejected: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    number = f"{len(rows.rows)} row{'' if len(rows.rows) == 1 else 's'}"
    console.print(shown(f"{projection.name}: {number} on {rows.day} (verdict {outcome.verdict})"), style="bold")
    for place, row in enumerate(rows.rows):
        table = Table(box=None, show_header=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for column in projection.columns:
            table.add_row(column.name, shown(_short(row.get(column.name))))
        if place:
            console.print()
        console.print(table)
    for each in rejected:
        typer.echo(f"{projection.name}: a row does not fit: {visible(each)}", err=True)
    console.print()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)
    return f"{text[:_SHOWN]} … ({len(text):,} characters)" if len(text) > _SHOWN else text


def plan(
    name: Annotated[str, typer.Argument(help="The projection's name; all, if left out.")] = "", as_json: AsJson = False
) -> None:
    """Print what the next landing would change of the tables themselves, as statements; nothing is changed.

    A statement after "--" is refused by the landing, because values could be lost: run it yourself. Exits with 1 if
    there is such a one.
    """
    from vcon_platform.projections.destination import destination_kind
    from vcon_platform.projections.reading import connections_of

    connections = connections_of(settings())
    found = [
        (projection, ref.kind, destination_kind(ref.kind).connect(projection, connections).plan(projection))
        for projection in _projections(name, None)
        for ref in projection.destinations
    ]
    if as_json:
        typer.echo(
            json_text.dumps(
                [
                    {
                        "projection": projection.name,
                        "destination": kind,
                        "steps": [{"statement": step.statement, "refused": step.refused} for step in steps],
                    }
                    for projection, kind, steps in found
                ]
            )
        )
    else:
        for projection, kind, steps in found:
            typer.echo(f"-- {projection.name} in {kind}: {f'{len(steps)} changes' if steps else 'nothing to change'}")
            for step in steps:
                if step.refused:
                    typer.echo(f"-- refused: {visible(step.refused)}")
                elif step.statement:
                    typer.echo(f"{visible(step.statement)};")
    if any(step.refused for _, _, steps in found for step in steps):
        raise typer.Exit(1)


def export(
    name: Name,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC), included.")],
    form: Annotated[Format, typer.Option("--format", "-f", help="Of the file.")] = Format.CSV,
    output: Output = None,
    destination: Annotated[
        str, typer.Option(help="Where to read: postgres, parquet or duckdb. Otherwise the first of them there is.")
    ] = "",
    verbatim: Annotated[
        bool,
        typer.Option(
            "--verbatim", help="CSV: leave text that a spreadsheet would run as a formula (=, +, -, @) as it is."
        ),
    ] = False,
) -> None:
    """Write the rows that have landed on these days into a file, or onto stdout.

    CSV is safe to open in a spreadsheet: a text that it would run gets a ' before it.

    [bold]Example[/bold]: vcon-platform projections export calls --from 2026-01-01 --to 2026-01-31 -o calls.csv
    """
    from vcon_platform.projections.exporting import write_csv, write_ndjson, write_parquet
    from vcon_platform.projections.reading import connections_of, days_of, declared, destination_to_read

    projection = declared(name, settings())
    days = days_of(first, last)
    opened = destination_to_read(projection, destination, connections_of(settings()))

    def write(out: IO[bytes]) -> int:
        rows = opened.read(projection, *days)
        if form is Format.CSV:
            return write_csv(projection, rows, out, safe=not verbatim)
        return (write_ndjson if form is Format.NDJSON else write_parquet)(projection, rows, out)

    if output is None:
        if form is Format.PARQUET and sys.stdout.isatty():
            give_up("Parquet is no text: name a file with --output.")
        write(sys.stdout.buffer)
        return
    aside = output.with_name(f".{output.name}.part")
    try:
        with aside.open("wb") as out:
            written = write(out)
        aside.replace(output)
    except OSError as error:
        give_up(f"{visible(str(output))} cannot be written: {error.strerror}.", 1)
    finally:
        aside.unlink(missing_ok=True)
    typer.echo(f"{written:,} rows of {name} in {visible(str(output))}", err=True)

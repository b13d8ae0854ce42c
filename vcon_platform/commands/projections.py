"""``vcon-platform projections``: the tables that are declared, and whether a declaration is good.

Belongs here: printing. Not here: declarations (``projections/``), rows.

Exit codes: 0 well; 1 a declaration has faults; 2 what was typed is wrong.
"""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._projection_land import land
from vcon_platform.commands._projection_rows import export, plan, preview
from vcon_platform.commands._shown import shown, visible

if TYPE_CHECKING:
    from vcon_platform.projections.catalogue import ProjectionCatalogue
    from vcon_platform.projections.model import Projection

app = typer.Typer(no_args_is_help=True, help="Projections: the tables that conversations become rows of.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

app.command("land")(land)
app.command("preview")(preview)
app.command("plan")(plan)
app.command("export")(export)


def _folder() -> Path:
    from vcon_platform.settings import load_settings

    return load_settings().pipelines_dir / "projections"


def _catalogue() -> ProjectionCatalogue:
    from vcon_platform.projections.catalogue import load_projections

    return load_projections(_folder())


@app.command("list")
def list_projections(as_json: AsJson = False) -> None:
    """List the projections: their pipelines and where the rows land. Exits with 1 if a file is broken."""
    found = _catalogue()
    broken = {name: str(error) for name, error in found.broken.items()}
    if as_json:
        rows = [_about(each) for each in found.values()]
        typer.echo(json_text.dumps({"projections": rows, "broken": broken}))
    else:
        table = Table(box=None, header_style="bold")
        for header in ("projection", "pipelines", "rows", "columns", "destinations", "what it is"):
            table.add_column(header, overflow="fold")
        for each in found.values():
            kinds = ", ".join(destination.kind for destination in each.destinations)
            pipelines = ", ".join(each.pipelines)
            table.add_row(
                each.name, shown(pipelines), each.rows, str(len(each.columns)), kinds, shown(each.description)
            )
        Console().print(table)
        for name, error in broken.items():
            typer.echo(visible(_named(name, error)), err=True)
    if broken:
        raise typer.Exit(1)


@app.command("show")
def show_projection(
    name: Annotated[str, typer.Argument(help="The projection's name.")], as_json: AsJson = False
) -> None:
    """Show a projection with its columns: type, what fills it, whether it is personal data."""
    found = _catalogue()
    if name not in found:
        known = ", ".join(found) or "none"
        typer.echo(f"There is no projection {name[:80]!r}; there are: {known}", err=True)
        for file, error in found.broken.items():
            typer.echo(visible(f"It may be in a file that cannot be used: {_named(file, str(error))}"), err=True)
        raise typer.Exit(2)
    projection = found[name]
    if as_json:
        typer.echo(json_text.dumps(_about(projection)))
        return
    console = Console(highlight=False)
    console.print(shown(f"{projection.name}: {projection.description}"), style="bold")
    grain = projection.grain_name if projection.grain_name != "each" else projection.each or projection.listed
    console.print(shown(f"Pipelines: {', '.join(projection.pipelines)}; rows by {projection.rows}, one per {grain}"))
    for destination in projection.destinations:
        console.print(shown(f"Destination: {destination.kind} {json_text.dumps(dict(destination.options))}"))
    console.print()
    table = Table(box=None, header_style="bold")
    for header in ("column", "type", "from", "personal data", "meaning"):
        table.add_column(header, overflow="fold")
    for column in projection.columns:
        personal = ("yes" + (f", {column.mask}" if column.mask else "")) if column.pii else ""
        table.add_row(column.name, column.type, shown(column.filled_by), personal, shown(column.description))
    console.print(table)


def _named(file: str, error: str) -> str:
    """The error with the name of its file in front, which most of them have already."""
    return error if error.startswith(file) else f"{file}: {error}"


@app.command("validate")
def validate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Declarations; - for stdin. Default: the folder's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check declarations, alone and against each other. Exits with 1 if one has faults; nothing is changed."""
    from vcon_platform.projections.catalogue import read_projections

    if files:
        texts = {file: _text(file) for file in files}
        found = read_projections(texts)
    else:
        found = _catalogue()
    broken = {name: str(error) for name, error in found.broken.items()}
    if as_json:
        typer.echo(json_text.dumps({"good": list(found), "broken": broken}))
    else:
        for name in found:
            typer.echo(f"{name}: good")
        for name, error in broken.items():
            typer.echo(visible(_named(name, error)), err=True)
    if broken:
        raise typer.Exit(1)


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        typer.echo(f"{visible(file)} cannot be read: {why}.", err=True)
        raise typer.Exit(2) from None


def _about(projection: Projection) -> dict[str, Any]:
    value: dict[str, Any] = projection.model_dump(mode="json", by_alias=True)
    return value

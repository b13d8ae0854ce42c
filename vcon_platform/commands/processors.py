"""``vcon-platform processors``: which processors there are, and what each can be told.

Belongs here: printing. What is printed comes from the classes alone (:mod:`vcon_platform.processors.describe`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vcon_platform.commands import _pipeline_runs
from vcon_platform.errors import PlatformError
from vcon_platform.processors.describe import describe
from vcon_platform.processors.documentation import generated
from vcon_platform.processors.registry import UnknownProcessor, load_processors
from vcon_platform.processors.scaffold import scaffold

app = typer.Typer(no_args_is_help=True, help="The processors that pipelines are made of.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_processors(as_json: AsJson = False) -> None:
    """List the processors that can stand in a pipeline."""
    registry = load_processors()
    if as_json:
        typer.echo(json.dumps({"processors": [describe(cls) for cls in registry], "broken": dict(registry.broken)}))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("processor", no_wrap=True)
    table.add_column("what it does, and its effects")
    for cls in registry:
        about = describe(cls)
        effects = ", ".join(about["effects_in_words"])
        told = escape(_first_sentence(about["description"])) + (f"\n[dim]{escape(effects)}[/dim]" if effects else "")
        table.add_row(about["name"], told)
    Console(emoji=False).print(table)
    if registry.broken:
        for name, reason in registry.broken.items():
            Console(stderr=True, emoji=False).print(f"[red]{escape(name)} cannot be used:[/red] {escape(reason)}")
    typer.echo("\nOptions of one: vcon-platform processors show NAME")


@app.command("show")
def show_processor(
    name: Annotated[str, typer.Argument(help="The processor's name, as in a pipeline definition.")],
    as_json: AsJson = False,
) -> None:
    """Show one processor with its options."""
    try:
        about = describe(load_processors().get(name))
    except UnknownProcessor as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(about))
        return
    console = Console(emoji=False)
    console.print(f"[bold]{about['name']}[/bold] {about['version']}: {escape(about['title'])}", highlight=False)
    console.print(escape(about["description"]), highlight=False)
    console.print(f"Effects: {escape(', '.join(about['effects_in_words'])) or 'none'}", highlight=False)
    if about["pool"]:
        console.print(f"Pool: {escape(about['pool'])} (VCON_POOLS limits its calls at once)", highlight=False)
    console.print()
    own = [option for option in about["options"] if not option["common"]]
    if own:
        console.print(_options("option", own))
    else:
        console.print("It has no options of its own.")
    console.print()
    console.print(_options("and of every processor", [option for option in about["options"] if option["common"]]))


def _options(header: str, options: Sequence[Mapping[str, Any]]) -> Table:
    """Type and default share a column: four of them leave a terminal of 80 characters no room for the meaning."""
    table = Table(box=None, header_style="bold")
    table.add_column(header, no_wrap=True)
    table.add_column("what it takes", overflow="fold", max_width=34)
    table.add_column("meaning", overflow="fold", ratio=1)
    for option in options:
        table.add_row(option["name"], f"{escape(option['type'])}\n{_default(option)}", escape(option["description"]))
    return table


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def _default(option: Mapping[str, Any]) -> str:
    if option["required"]:
        return "[bold]required[/bold]"
    if option["default"] is None:
        return "[dim]unset[/dim]"
    return f"[dim]{escape(json.dumps(option['default'], ensure_ascii=False))}[/dim]"


@app.command("docs")
def write_docs(
    folder: Annotated[Path, typer.Option("--dir", help="The folder of the documentation.")] = Path("docs"),
) -> None:
    """Write the pages that are made from the processors themselves: their reference, and the comparison."""
    if not folder.is_dir():
        raise PlatformError(f"{folder} is no folder; name that of the documentation with --dir")
    for name, text in generated(load_processors(), folder).items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(f"written: {folder / name}")


@app.command("new")
def new_processor(
    name: Annotated[str, typer.Argument(help="The new processor's name, as pipelines are to name it: long_calls.")],
    folder: Annotated[Path, typer.Option("--dir", help="Folder to make the package's folder in.")] = Path(),
) -> None:
    """Begin a plugin: a package with one processor, its test and its README, that runs as it is."""
    target = scaffold(name, folder, load_processors())
    for path in sorted(each for each in target.rglob("*") if each.is_file()):
        typer.echo(f"written: {path}")
    typer.echo(
        f"\nNext, where the platform is installed:\n  uv pip install --no-deps -e {target}\n"
        f"  vcon-platform processors show {name}"
    )


_pipeline_runs.register_processor(app)

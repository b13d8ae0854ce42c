"""``vcon-platform processors``: which processors there are, and what each can be told.

Belongs here: printing. What is printed comes from the classes alone (:mod:`vcon_platform.processors.describe`).
"""

import json
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
    for header in ("processor", "version", "effects", "what it does"):
        table.add_column(header, overflow="fold")
    for cls in registry:
        about = describe(cls)
        effects = escape(", ".join(about["effects_in_words"]))
        table.add_row(about["name"], about["version"], effects, escape(about["description"]))
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
    table = Table(box=None, header_style="bold")
    for header in ("option", "type", "default", "meaning"):
        table.add_column(header, overflow="fold")
    for option in about["options"]:
        table.add_row(option["name"], escape(option["type"]), _default(option), escape(option["description"]))
    console.print(table)


def _default(option: dict[str, Any]) -> str:
    return "[bold]required[/bold]" if option["required"] else escape(json.dumps(option["default"], ensure_ascii=False))


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

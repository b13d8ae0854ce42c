"""``vcon-platform pipelines import-conserver``: a conserver's configuration as definitions of ours.

Belongs here: reading the file, writing or printing what came of it. What becomes of each part is decided in
:mod:`vcon_platform.pipelines.conserver_import`.

A chain that cannot run here as it stands (a processor is not installed, say) is written as ``NAME.yaml.incomplete``:
it is there to be completed, and no definition until it is renamed.
"""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcon_platform.commands._shown import visible

if TYPE_CHECKING:
    from vcon_platform.pipelines.conserver_import import Imported, Translation

INCOMPLETE = ".incomplete"


def register(app: typer.Typer) -> None:
    """Add the verb to the group ``pipelines``."""
    app.command("import-conserver")(import_conserver)


def import_conserver(
    file: Annotated[Path, typer.Argument(help="The conserver's config.yml.")],
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write the definitions to. Unset: print.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Translate a conserver's chains into pipeline definitions, and say what became of every part.

    Exits with 1 if anything has no counterpart here. Secrets become references to environment variables, which are
    listed."""
    from vcon_platform.errors import PlatformError
    from vcon_platform.pipelines.conserver_import import translate
    from vcon_platform.pipelines.texts import parse_text
    from vcon_platform.processors.registry import load_processors

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlatformError(f"{file} cannot be read as UTF-8 text ({type(error).__name__})") from None
    found = translate(parse_text(file.name if file.suffix else f"{file.name}.yml", text), load_processors())
    written = _write(found, to, force) if to is not None else {}
    if as_json:
        typer.echo(json_text.dumps(_as_json(found, written)))
    else:
        _print(found, written)
    raise typer.Exit(1 if found.refused else 0)


def _file_name(imported: Imported) -> str:
    return f"{imported.name}.yaml{INCOMPLETE if imported.faults else ''}"


def _text(imported: Imported) -> str:
    from vcon_platform.pipelines.yaml_text import as_yaml

    head = [f"# {imported.name}: translated from a conserver's configuration"]
    head += [f"# to do: {' '.join(fault.split())}" for fault in imported.faults]
    return "\n".join([*head, as_yaml(imported.definition)])


def _write(found: Translation, folder: Path, force: bool) -> dict[str, Path]:
    from vcon_platform.errors import PlatformError

    paths = {imported.name: folder / _file_name(imported) for imported in found.definitions}
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not force:
        raise PlatformError(f"nothing was written, because there is {', '.join(there)} already; --force replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for imported in found.definitions:
            paths[imported.name].write_text(_text(imported), encoding="utf-8")
    except OSError as error:
        raise PlatformError(f"{folder} cannot be written ({error.strerror})") from None
    return paths


def _as_json(found: Translation, written: dict[str, Path]) -> dict[str, object]:
    return {
        "definitions": [
            {
                "name": each.name,
                "definition": each.definition,
                "faults": list(each.faults),
                "file": str(written[each.name]) if each.name in written else None,
            }
            for each in found.definitions
        ],
        "lines": [{"kind": line.kind, "pointer": line.pointer, "message": line.message} for line in found.lines],
        "variables": found.variables,
    }


def _print(found: Translation, written: dict[str, Path]) -> None:
    if not written:
        typer.echo("---\n".join(_text(each) for each in found.definitions), nl=False)
    for path in written.values():
        typer.echo(f"written: {path}")
    for line in found.lines:
        typer.echo(visible(f"{line.kind:<10} {line.pointer}: {line.message}"), err=True)
    if found.variables:
        typer.echo("\nSet these variables, in the environment or in .env, to the values that stand at:", err=True)
        for variable, place in found.variables.items():
            typer.echo(visible(f"  {variable}  {place}"), err=True)

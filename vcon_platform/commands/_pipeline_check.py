"""``vcon-platform pipelines validate``, and reading definition files for the other verbs.

Belongs here: files in, faults out. What is a fault is decided in :mod:`vcon_platform.pipelines`.
"""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcon_platform.commands._shown import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vcon_platform.pipelines.catalogue import Catalogue
    from vcon_platform.pipelines.definition import Definition
    from vcon_platform.pipelines.faults import DefinitionFault


def register(app: typer.Typer) -> None:
    """Add the verb to the group ``pipelines``."""
    app.command("validate")(validate)


def current() -> Catalogue:
    """The catalogue as it is now; without a Redis that was ever started, of the files alone."""
    from vcon_platform.pipelines.current import CurrentCatalogue, patient_client
    from vcon_platform.settings import load_settings

    settings = load_settings()
    return CurrentCatalogue(settings, patient_client(settings)).get()


def validate(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="YAML or JSON; none: all of the definitions folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check definitions, and prices.yaml, without storing them; needs no running platform. Exits with 1 if one has
    faults."""
    from vcon_platform.errors import PlatformError
    from vcon_platform.pipelines.faults import DefinitionError, DefinitionFault
    from vcon_platform.pipelines.texts import PRICES_FILE

    results: list[dict[str, Any]] = []
    found = dict(current().pipelines)
    checked = files if files else _all_files()
    for path in checked:
        try:
            if path.name == PRICES_FILE:
                _check_prices(path)
                results.append({"file": str(path), "version": None, "faults": [], "warnings": []})
                continue
            definition = _definition_of(path)
            found[definition.name] = definition
            results.append({"file": str(path), "version": definition.version, "faults": [], "warnings": []})
        except PlatformError as error:
            told = error.faults if isinstance(error, DefinitionError) else ()
            faults = places(told or (DefinitionFault("", str(error)),))
            results.append({"file": str(path), "version": None, "faults": faults, "warnings": []})
    _wire(results, found)
    if as_json:
        typer.echo(json_text.dumps(results))
    else:
        for result in results:
            good = not result["faults"]
            version = f", version {result['version']}" if result["version"] else ""
            typer.echo(f"{visible(result['file'])}: {'good' + version if good else 'refused'}")
            for kind in ("faults", "warnings"):
                for fault in result[kind]:
                    sign = "  " if kind == "faults" else "  (warning) "
                    typer.echo(visible(f"{sign}{fault['pointer'] or '/'}: {fault['message']}"))
        if not results:
            typer.echo("There are no definition files.")
    raise typer.Exit(1 if any(result["faults"] for result in results) else 0)


def _all_files() -> list[Path]:
    from vcon_platform.pipelines.texts import PRICES_FILE, sources
    from vcon_platform.settings import load_settings

    folder = load_settings().pipelines_dir
    prices = [PRICES_FILE] if (folder / PRICES_FILE).is_file() else []
    return [folder / file for file in (*sources(folder), *prices)]


def _check_prices(path: Path) -> None:
    from vcon_platform.errors import PlatformError
    from vcon_platform.pipelines.prices import read_prices

    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror}") from None
    read_prices(text)


def _definition_of(path: Path) -> Definition:
    from vcon_platform.pipelines.definition import read_definition
    from vcon_platform.processors.registry import load_processors

    return read_definition(path.stem, parsed(path), load_processors())


def parsed(path: Path) -> Any:
    """The value in a file; ``-`` is not one."""
    from vcon_platform.errors import PlatformError
    from vcon_platform.pipelines.texts import MOST_BYTES, SUFFIXES, parse_text

    if path.suffix not in SUFFIXES:
        raise PlatformError(f"{path} must end in {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8", "replace")
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror}") from None
    return parse_text(path.name, text)


def _wire(results: list[dict[str, Any]], found: dict[str, Definition]) -> None:
    """Add what is wrong between definitions, and with projections that they name."""
    from vcon_platform.pipelines.wiring import undeclared, wiring
    from vcon_platform.projections.catalogue import load_projections
    from vcon_platform.settings import load_settings

    projections = load_projections(load_settings().pipelines_dir / "projections")
    for result in results:
        if result["version"] is not None:
            definition = found[Path(result["file"]).stem]
            told = wiring(definition, found)
            result["faults"] = places([*told.faults, *undeclared(definition, projections)])
            result["warnings"] = places(told.warnings)


def places(faults: Iterable[DefinitionFault]) -> list[dict[str, str]]:
    """Faults, for JSON."""
    return [{"pointer": fault.pointer, "message": fault.message} for fault in faults]

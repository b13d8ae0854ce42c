"""``vcon-platform pipelines``: the definitions of this installation, their versions, and whether they are live.

Belongs here: reading what was typed, printing, exit codes. What is good, stored and live is decided in
:mod:`vcon_platform.pipelines` and :mod:`vcon_platform.services.pipeline_edits`; ``validate``
is in ``_pipeline_check.py``, ``run`` and ``simulate`` in ``_pipeline_runs.py``, ``import-conserver`` in
``_pipeline_import.py``.

Exit codes: 0 done; 1 it could not be done, or a definition has faults; 2 what was typed is wrong.
"""

from __future__ import annotations

import getpass
import json as json_text
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands import _pipeline_check, _pipeline_import, _pipeline_runs
from vcon_platform.commands._pipeline_check import current, parsed, places
from vcon_platform.commands._shown import shown, visible

if TYPE_CHECKING:
    from vcon_platform.pipelines.catalogue import Catalogue
    from vcon_platform.pipelines.stored import StoredDefinitions
    from vcon_platform.services.pipeline_edits import Edited, PipelineEdits

app = typer.Typer(
    no_args_is_help=True, help="Pipeline definitions: check, store, compare, roll back; run and simulate."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Name = Annotated[str, typer.Argument(help="The pipeline's name.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait until it is live. 0: store it, do not reload.")
]
By = Annotated[
    str | None, typer.Option("--by", help="Who writes it, for the list of versions. Default: your user name.")
]
WAIT = 30.0


def _edits() -> PipelineEdits:
    from vcon_platform.services.pipeline_edits import PipelineEdits
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import connect

    settings = load_settings()
    return PipelineEdits(settings, connect(settings.redis_url()))


def _stored() -> StoredDefinitions:
    return _edits().stored


def _who(by: str | None) -> str:
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):
        return "cli"


@app.command("list")
def list_pipelines(as_json: AsJson = False) -> None:
    """List every pipeline: version, where it is defined, whether it is live, what is wrong with it."""
    from vcon_platform.services.going_live import loaded_versions
    from vcon_platform.settings import load_settings

    found, loaded = current(), loaded_versions(load_settings(), timeout=3.0)
    rows = [_row(name, found, loaded) for name in sorted({*found.pipelines, *found.broken})]
    if as_json:
        typer.echo(json_text.dumps(rows))
        return
    table = Table(box=None, header_style="bold")
    for header in ("pipeline", "version", "defined in", "live", "lane", "processors"):
        table.add_column(header, overflow="fold")
    for row in rows:
        live = {True: "yes", False: f"no ({row['loaded'] or 'not loaded'})", None: "?"}[row["live"]]
        steps = " → ".join(row["processors"]) or ("none" if row["version"] else "")
        table.add_row(
            shown(row["name"]), row["version"] or "broken", row["source"], live, row["lane"] or "", shown(steps)
        )
    Console().print(table)
    console = Console(stderr=True, highlight=False)
    for row in rows:
        for told in [row["fault"], *row["warnings"]]:
            if told:
                console.print(shown(f"{row['name']}: {told}"), style="red" if told == row["fault"] else "yellow")
    if loaded is None:
        console.print("Dagster does not answer, so it is not known what is live.")


def _row(name: str, found: Catalogue, loaded: dict[str, str] | None) -> dict[str, Any]:
    definition = found.pipelines.get(name)
    return {
        "name": name,
        "version": definition.version if definition else None,
        "source": found.stands_in[name],
        "live": None if loaded is None else definition is not None and loaded.get(name) == definition.version,
        "loaded": (loaded or {}).get(name),
        "lane": definition.options.lane if definition else None,
        "processors": [step.name for step in definition.steps] if definition else [],
        "fault": found.broken.get(name),
        "fallen_back": name in found.fallen_back,
        "warnings": list(found.warnings.get(name, ())),
    }


@app.command("show")
def show(
    name: Name,
    version: Annotated[int | None, typer.Option("--version", min=1, help="The number of an earlier version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a definition: as it is in use now, or an earlier version of it."""
    from vcon_platform.pipelines.yaml_text import as_yaml

    raw = dict(current().get(name).raw) if version is None else dict(_stored().version(name, version).definition)
    typer.echo(json_text.dumps(raw) if as_json else as_yaml(raw), nl=as_json)


@app.command("versions")
def versions(name: Name, as_json: AsJson = False) -> None:
    """List every version of a definition, oldest first; of one in a file, each content that Dagster loaded."""
    from vcon_platform.pipelines.stored import NotStored

    found = _stored().versions(name)
    if not found:
        raise NotStored(f"pipeline {name!r} has no versions yet; a file has its first one once Dagster loaded it")
    rows = [
        {
            "number": each.number,
            "version": each.version,
            "at": datetime.fromtimestamp(each.at, UTC).isoformat(timespec="seconds"),
            "by": each.by,
            "source": each.source,
            "note": each.note,
        }
        for each in found
    ]
    if as_json:
        typer.echo(json_text.dumps(rows))
        return
    table = Table(box=None, header_style="bold")
    for header in rows[0]:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(shown(str(value)) for value in row.values()))
    Console().print(table)


@app.command("diff")
def diff(
    name: Name,
    before: Annotated[int | None, typer.Argument(metavar="A", min=1, help="A version's number.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="B", min=1, help="Another one's.")] = None,
) -> None:
    """Show how two versions differ. B unset: A and the newest; both unset: the newest two."""
    stored = _stored()
    newest = stored.latest(name)
    last = newest.number if newest else 1
    typer.echo(stored.diff(name, before or max(1, last - 1), after or last), nl=False)


@app.command("put")
def put(
    file: Annotated[Path, typer.Argument(help="The definition, YAML or JSON.")],
    name: Annotated[str | None, typer.Option("--name", help="The pipeline's name. Default: the file's.")] = None,
    base: Annotated[
        int | None,
        typer.Option("--base", min=0, help="Only if this is still the newest version's number (0: only if new)."),
    ] = None,
    by: By = None,
    wait: Wait = WAIT,
    as_json: AsJson = False,
) -> None:
    """Store a definition as a new version, and have Dagster load it. Nothing is restarted."""
    edited = _edits().put(name or file.stem, parsed(file), _who(by), base=base, wait=wait or None)
    _tell(edited, f"{edited.name} is stored as version {edited.version.number} ({edited.version.version})", as_json)


@app.command("delete")
def delete(name: Name, by: By = None, wait: Wait = WAIT, as_json: AsJson = False) -> None:
    """Delete a stored definition. Its queue and its versions stay; 'rollback' brings it back."""
    edited = _edits().delete(name, _who(by), wait=wait or None)
    _tell(edited, f"{name} is deleted; 'vcon-platform pipelines rollback {name} N' brings it back", as_json)


@app.command("rollback")
def rollback(
    name: Name,
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="The number of the version to go back to.")],
    by: By = None,
    wait: Wait = WAIT,
    as_json: AsJson = False,
) -> None:
    """Store an earlier version again, as a new one, and have Dagster load it."""
    edited = _edits().roll_back(name, number, _who(by), wait=wait or None)
    _tell(edited, f"{name} is as version {number} again, stored as version {edited.version.number}", as_json)


@app.command("reload")
def reload(wait: Wait = WAIT, as_json: AsJson = False) -> None:
    """Have Dagster load every definition anew: after files were edited. Exits with 1 if one is broken or not live."""
    found, live = _edits().reload(wait)
    if as_json:
        typer.echo(
            json_text.dumps(
                {"live": live.live, "state": live.state, "message": live.message, "broken": dict(found.broken)}
            )
        )
    else:
        for name, fault in found.broken.items():
            typer.echo(visible(f"{name}: {fault}"), err=True)
        good = "Dagster has loaded every definition that can be used, as it is now."
        typer.echo(visible(good if live.live else live.message))
    raise typer.Exit(0 if live.live and not found.broken else 1)


@app.command("drain")
def drain(
    name: Name,
    end: Annotated[bool, typer.Option("--end", help="End it at once instead, finishing what it has in hand.")] = False,
) -> None:
    """Have a stream pipeline's run replaced by a fresh one, without a gap. (While its queue is paused it just ends.)"""
    from vcon_platform.pipelines.succession import Streams
    from vcon_platform.settings import load_settings
    from vcon_platform.store.connection import connect

    definition = current().pipelines.get(name)
    if definition is None or definition.options.lane != "stream":
        typer.echo(visible(f"{name} is no stream pipeline; see 'vcon-platform pipelines list'."), err=True)
        raise typer.Exit(2)
    Streams(connect(load_settings().redis_url())).drain(name, followed=not end)
    typer.echo("Its run ends within seconds." if end else "Its run ends as soon as the next one works.")


def _tell(edited: Edited, sentence: str, as_json: bool) -> None:
    live = edited.live
    if as_json:
        typer.echo(
            json_text.dumps(
                {
                    "name": edited.name,
                    "number": edited.version.number,
                    "version": edited.version.version,
                    "live": live.live if live else None,
                    "state": live.state if live else "stored",
                    "message": live.message if live else "",
                    "warnings": places(edited.warnings),
                }
            )
        )
    else:
        typer.echo(visible(f"{sentence}."))
        for warning in edited.warnings:
            typer.echo(visible(f"Note {warning}"), err=True)
        if live is not None:
            typer.echo(visible(live.message))
        else:
            typer.echo("It goes live at the next start or reload.")
    raise typer.Exit(1 if live is not None and live.state in ("refused", "loading") else 0)


_pipeline_check.register(app)
_pipeline_runs.register(app)
_pipeline_import.register(app)

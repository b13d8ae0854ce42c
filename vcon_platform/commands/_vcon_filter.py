"""``vcon-platform vcon filter``: one processor on one vCon, in a pipe.

Belongs here: options and answers. Not here: running it (``pipelines/simulate.py``: by the rules of a run, on a store
that only reads), and runs that keep what they did (``processors run``).

What costs is bought, since it was asked for, and its result kept, so that it is bought once; that takes a running
platform. What it would queue or send it does not.
"""

from __future__ import annotations

import json as json_text
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from vcon_platform.commands._shown import visible
from vcon_platform.commands._vcon_given import (
    AsJson,
    Given,
    Output,
    document_of,
    give_up,
    settings,
    write_text,
)

if TYPE_CHECKING:
    from vcon_platform.pipelines.definition import Definition
    from vcon_platform.pipelines.simulate import Simulation


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("filter")(filter_)


def filter_(
    processor: Annotated[str, typer.Argument(help="A processor; 'processors list' has them.")],
    given: Given,
    options: Annotated[str, typer.Option("--options", help="The processor's options, as a JSON object.")] = "{}",
    parameters: Annotated[str, typer.Option("--parameters", help="Parameters to begin with, a JSON object.")] = "{}",
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """Run one processor on a vCon and write what it made of it. Nothing is stored or sent.

    Of a processor that makes a copy (redacted, amended) the copy alone is written. A vCon that the processor drops is
    not written. Exits with 1 then, as grep does, and where the processor failed.
    """
    from vcon_platform.pipelines.workbench import Workbench

    definition = _definition(processor, options)
    begin_with = _object(parameters, "--parameters")
    vcon = document_of(given)
    told = Workbench(settings()).simulator().run(definition, vcon, parameters=begin_with, buy=True)
    ending, step = told.verdict.ending, told.steps[0]
    if as_json:
        vcons = [each.handed_out for each in told.vcons]
        write_text(iter((orjson.dumps({**told.to_json(), "vcons": vcons}),)), output)
    else:
        _tell(told)
        if ending == "done" and step.what != "not_run":
            write_text(
                iter((b"\n".join(orjson.dumps(each.handed_out) for each in told.vcons[1:] or told.vcons),)), output
            )
    if ending != "done" or step.what == "not_run":
        raise typer.Exit(1)


def _definition(name: str, options: str) -> Definition:
    """A pipeline of this processor alone."""
    from pydantic import ValidationError

    from vcon_platform.pipelines.definition import Definition, PipelineOptions, Step, hash_of
    from vcon_platform.pipelines.faults import DefinitionError, model_faults
    from vcon_platform.processors.registry import UnknownProcessor, load_processors

    try:
        chosen = load_processors().get(name)
    except UnknownProcessor as error:
        give_up(str(error))
    try:
        typed = chosen.options.model_validate(_object(options, "--options"))
    except ValidationError as error:
        give_up(f"--options: {DefinitionError(*model_faults(error, chosen.options))}")
    raw = {"processor": name, "options": typed.model_dump(mode="json")}
    step = Step(name, chosen, typed.model_copy(update={"should_process": True}))  # it was asked for
    return Definition(
        name=f"processor:{name}",
        options=PipelineOptions(save_vcons=False, retries=0),
        steps=(step,),
        version=hash_of(raw),
    )


def _tell(told: Simulation) -> None:
    """On stderr what is not in the vCon."""
    [step] = told.steps
    if step.what in ("filtered", "failed", "not_run", "skipped"):
        code = f" ({step.code})" if step.code else ""
        typer.echo(f"{step.name} {step.what.replace('_', ' ')}{code}: {visible(step.reason)}", err=True)
    if step.what == "not_run":
        typer.echo(f"To run it: vcon-platform processors run {step.name} …", err=True)
    for made in told.vcons[1:]:  # whoever asks for a redacted copy must not find the original beside it
        typer.echo(f"written: the copy {made.uuid} alone; --json has also what it was made from", err=True)
    for name, value in told.parameters.items():
        typer.echo(visible(f"parameter {name} = {json_text.dumps(value, ensure_ascii=False)}"), err=True)
    for job in step.queued:
        typer.echo(visible(f"not queued in {job.queue}: {', '.join(job.vcon_uuids)}"), err=True)
    for effect in step.effects:
        typer.echo(visible(f"not sent: {effect.summary}"), err=True)


def _object(given: str, option: str) -> dict[str, Any]:
    try:
        value = json_text.loads(given)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        give_up(f"{option} must be a JSON object, such as " + '\'{"language": "en"}\'.')
    return value

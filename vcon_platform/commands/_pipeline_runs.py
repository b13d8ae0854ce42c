"""``vcon-platform pipelines run``, ``simulate`` and ``processors run``: one conversation, now and here.

Belongs here: reading what was given, exit codes. Not here: what is printed (``_pipeline_told.py``), and what happens to
the conversation (:mod:`vcon_platform.pipelines.direct`, :mod:`vcon_platform.pipelines.simulate`).

Exit codes: 0 it came through (or was filtered, which is an outcome, not a fault); 1 the platform could not do it now
(Redis away, others keep changing the vCon); 2 what was given is wrong; 3 the conversation failed, or would.
"""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vcon_platform.commands._pipeline_told import print_run, print_simulation
from vcon_platform.commands._shown import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from vcon_platform.pipelines.definition import Definition
    from vcon_platform.pipelines.direct import DirectResult
    from vcon_platform.pipelines.workbench import Workbench
    from vcon_platform.vcon.document import Vcon

FAILED = 3

Given = Annotated[str, typer.Argument(metavar="UUID|FILE", help="A stored vCon's uuid, or a vCon file; -: on stdin.")]
Parameters = Annotated[str, typer.Option("--parameters", help="Parameters to begin with, as a JSON object.")]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Keep what was changed and made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the group ``pipelines``."""
    app.command("simulate")(simulate)
    app.command("run")(run)


def register_processor(app: typer.Typer) -> None:
    """Add the verb to the group ``processors``."""
    app.command("run")(run_one)


def simulate(
    pipeline: Annotated[str, typer.Argument(metavar="NAME|FILE.yaml", help="A pipeline, or a definition file.")],
    vcon: Given,
    parameters: Parameters = "{}",
    buy: Annotated[
        bool, typer.Option("--buy", help="Really call what costs (money or minutes). Its results are kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show step by step what a pipeline would do to a vCon. Nothing is saved, sent or bought.

    Exit codes: 0 it would come through; 1 the platform cannot do it now; 2 wrong input; 3 the conversation would fail.
    """
    bench = _bench()
    definition, sample = _definition(bench, pipeline), _sample(bench, vcon)
    told = bench.simulator().run(definition, sample, parameters=_parameters(parameters), buy=buy)
    if as_json:
        typer.echo(json_text.dumps(told.to_json(), ensure_ascii=False))
    else:
        print_simulation(told, buy=buy)
    if told.verdict.ending == "failed":
        raise typer.Exit(FAILED)


def run(
    pipeline: Annotated[str, typer.Argument(metavar="NAME", help="A pipeline.")],
    vcon: Given,
    save: Save = False,
    parameters: Parameters = "{}",
    as_json: AsJson = False,
) -> None:
    """Run a pipeline on one vCon now, without a queue. Jobs and mails it asks for happen, with --no-save too.

    Exit codes: 0 done or filtered; 1 the platform cannot do it now; 2 wrong input; 3 the conversation failed.
    """
    from vcon_platform.pipelines.direct import run_pipeline
    from vcon_platform.services.direct_record import DirectRecord, reported_to
    from vcon_platform.services.ports import LOOPBACK

    bench = _bench()
    definition = _named(bench, pipeline)
    begin_with = _parameters(parameters)
    given = _to_run(bench, vcon, save=save)
    record = DirectRecord(reported_to(f"http://{LOOPBACK}:{bench.settings.webserver_port}"))

    def work() -> DirectResult:
        return run_pipeline(bench.engine, definition, given, save=save, parameters=begin_with)

    try:
        _carry_out(work, lambda ending: record.add(definition.name, ending), as_json=as_json)
    finally:
        record.close()


def run_one(
    processor: Annotated[str, typer.Argument(metavar="NAME", help="A processor.")],
    vcon: Given,
    options: Annotated[str, typer.Option("--options", help="The processor's options, as a JSON object.")] = "{}",
    save: Save = False,
    parameters: Parameters = "{}",
    as_json: AsJson = False,
) -> None:
    """Run one processor on one vCon now. Jobs and mails it asks for happen, with --no-save too.

    Exit codes: 0 done or filtered; 1 the platform cannot do it now; 2 wrong input; 3 the conversation failed.
    """
    from pydantic import ValidationError

    from vcon_platform.pipelines.direct import run_processor
    from vcon_platform.pipelines.faults import DefinitionError, model_faults
    from vcon_platform.processors.registry import UnknownProcessor

    bench = _bench()
    begin_with, values = _parameters(parameters), _parameters(options, "--options")
    try:
        chosen = bench.catalogue.registry.get(processor)
    except UnknownProcessor as error:
        _give_up(str(error))
    try:
        typed = chosen.options.model_validate(values)
    except ValidationError as error:
        _give_up(f"--options: {DefinitionError(*model_faults(error, chosen.options))}")
    given = _to_run(bench, vcon, save=save)
    _carry_out(
        lambda: run_processor(bench.engine, chosen, typed, given, save=save, parameters=begin_with), as_json=as_json
    )


def _carry_out(
    work: Callable[[], DirectResult], count: Callable[[str], None] = lambda _: None, *, as_json: bool
) -> None:
    from vcon_platform.ingress.looking import NotReady
    from vcon_platform.pipelines.direct import DirectRefused, DirectRunFailed

    try:
        result = work()
    except DirectRunFailed as failed:
        count("failed")
        typer.echo(str(failed), err=True)
        hint = "It may succeed soon: run it again." if failed.transient else "Mend the cause, then run it again."
        typer.echo(
            f"Nothing was saved, queued or sent. {hint} Its history: vcon-platform trace {failed.uuid}", err=True
        )
        raise typer.Exit(FAILED) from None
    except (DirectRefused, NotReady) as refused:
        _give_up(str(refused))
    count(result.verdict.ending)
    if as_json:
        typer.echo(json_text.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_run(result)


# --- what was given -------------------------------------------------------------------------------------------------


def _bench() -> Workbench:
    from vcon_platform.pipelines.workbench import Workbench
    from vcon_platform.settings import load_settings

    return Workbench(load_settings())


def _give_up(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


def _named(bench: Workbench, name: str) -> Definition:
    from vcon_platform.pipelines.faults import DefinitionError

    try:
        return bench.catalogue.get().get(name)
    except DefinitionError as error:
        _give_up(str(error))


def _definition(bench: Workbench, given: str) -> Definition:
    """A pipeline by name, or the one that a file holds."""
    from vcon_platform.errors import PlatformError
    from vcon_platform.pipelines.catalogue import parse_text
    from vcon_platform.pipelines.definition import read_definition

    path = Path(given)
    if path.suffix not in (".yaml", ".yml", ".json"):
        return _named(bench, given)
    try:
        text = path.read_text(encoding="utf-8")
        return read_definition(path.stem, parse_text(path.name, text), bench.catalogue.registry)
    except (OSError, UnicodeDecodeError) as error:
        _give_up(f"{given} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}.")
    except PlatformError as error:
        _give_up(f"{given}: {error}")


def _sample(bench: Workbench, given: str) -> Vcon:
    from vcon_platform.store.documents import Missing

    uuid = _uuid(given)
    if uuid is None:
        return _look(bench, _content(given))
    try:
        return bench.reading.read_one(uuid)
    except Missing as missing:
        _give_up(f"{missing}. See 'vcon-platform vcon search', or name a file.")


def _to_run(bench: Workbench, given: str, *, save: bool) -> str | Vcon:
    """What a direct run is given; a file whose results are to be kept is taken in first."""
    uuid = _uuid(given)
    if uuid is not None:
        if not bench.store.documents.known([uuid]):
            _give_up(f"vCon {uuid} is not in the store. See 'vcon-platform vcon search', or name a file.")
        return uuid
    content = _content(given)
    if not save:
        return _look(bench, content)
    from vcon_platform.ingress.answer import Source
    from vcon_platform.ingress.opening import open_door, zone_of
    from vcon_platform.vcon.faults import Rejected

    try:
        door = open_door(bench.settings, bench.store)
        return door.take(content, Source("cli", zone=zone_of(bench.settings))).uuid
    except Rejected as rejected:
        _give_up(_faults(given, rejected))


def _look(bench: Workbench, content: bytes) -> Vcon:
    from vcon_platform.ingress.looking import NotReady, look
    from vcon_platform.ingress.opening import zone_of
    from vcon_platform.vcon.faults import Rejected

    try:
        return look(content, bench.settings, zone=zone_of(bench.settings), may_refer=bench.store.documents.refers)
    except Rejected as rejected:
        _give_up(_faults("the vCon", rejected))
    except NotReady as not_ready:
        _give_up(str(not_ready))


def _faults(what: str, rejected: Any) -> str:
    lines = [f"  {visible(each.pointer) or '/'}: {visible(each.message)}" for each in rejected.faults]
    return "\n".join([f"{visible(what)} is refused:", *lines])


def _uuid(given: str) -> str | None:
    from vcon_platform.vcon.gates import canonical_uuid

    return canonical_uuid(given.strip().removeprefix("vcon:"))


def _content(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    path = Path(given)
    if not path.exists():
        _give_up(f"{given} is neither a uuid nor a file.")
    try:
        return path.read_bytes()
    except OSError as error:
        _give_up(f"{given} cannot be read: {error.strerror}.")


def _parameters(given: str, option: str = "--parameters") -> dict[str, Any]:
    try:
        value = json_text.loads(given)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        _give_up(f"{option} must be a JSON object, such as " + '\'{"language": "en"}\'.')
    return value

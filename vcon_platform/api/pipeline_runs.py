"""``/v1/pipelines/{name}/run``, ``/v1/processors/{name}/run`` and ``simulate``: one conversation, now, for who waits.

Belongs here: requests into calls of ``pipelines/direct.py`` and ``pipelines/simulate.py``, their errors into answers,
and the threads they run in. Not here: what a run does.

A run may take minutes. It has threads of its own, a bounded number of them, so that every other route stays as quick as
it was; who comes when all are taken and as many wait is told to come again. A caller that hangs up does not stop a run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcon_platform.access.caller import Caller
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.idempotency import once_of
from vcon_platform.api.parts import source_of
from vcon_platform.api.paths import uuid_in
from vcon_platform.api.problems import Problem
from vcon_platform.api.visibility import may_run, must_see
from vcon_platform.ingress.looking import LARGEST, NotReady, look
from vcon_platform.ingress.opening import open_door, zone_of
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.direct import (
    DirectRefused,
    DirectResult,
    DirectRunFailed,
    Given,
    run_pipeline,
    run_processor,
)
from vcon_platform.pipelines.faults import DefinitionError, model_faults
from vcon_platform.pipelines.workbench import Workbench
from vcon_platform.processors.registry import UnknownProcessor
from vcon_platform.services.direct_record import DirectRecord, reported_to
from vcon_platform.services.ports import LOOPBACK
from vcon_platform.settings import Settings
from vcon_platform.vcon.document import Vcon

RUNS_AT_ONCE = 16
"""Direct runs and simulations at once in one API process; as many more may wait."""

Save = Annotated[bool, Query(description="Keep what was changed and made. Jobs and mails happen in any case.")]
Results = Annotated[bool, Query(description="False: only what became of the run, without documents and parameters.")]
Parameters = Annotated[str | None, Query(description="Parameters to begin with, as a JSON object.")]
Buy = Annotated[bool, Query(description="Steps that cost are bought; their results are kept.")]


class SimulateIn(BaseModel):
    """What is simulated on: a stored vCon by its uuid, or one in hand."""

    model_config = ConfigDict(extra="forbid")

    uuid: str | None = Field(default=None, description="A stored vCon.")
    vcon: dict[str, Any] | None = Field(default=None, description="A vCon in any of the three forms.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters to begin with.")


class SimulateDefinitionIn(SimulateIn):
    """The same with a definition in hand."""

    definition: dict[str, Any] = Field(description="The pipeline, as in a definition file.")
    name: str = Field(default="simulated", description="The pipeline's name.")


class Runs:
    """Runs things in threads of their own, at most so many, and says when there are too many."""

    def __init__(self, limit: int = RUNS_AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix="direct-run")
        self._room = threading.BoundedSemaphore(2 * limit)

    async def __call__[T](self, work: Callable[[], T]) -> T:
        """What ``work`` gives. Its errors are told as /v1 tells them."""
        try:
            return await self.plainly(work)
        except DirectRunFailed as failed:
            raise _failed(failed) from None
        except DefinitionError as error:
            faults = [{"pointer": each.pointer, "message": each.message} for each in error.faults]
            raise Problem(422, "bad_definition", str(error), faults=faults) from None
        except DirectRefused as refused:
            raise Problem(422, "not_runnable", str(refused)) from None
        except NotReady as not_ready:
            raise Problem(409, "not_ready", str(not_ready)) from None

    async def plainly[T](self, work: Callable[[], T]) -> T:
        """What ``work`` gives, or raises."""
        if not self._room.acquire(blocking=False):
            raise Problem(503, "busy", "As many direct runs as may be are under way; come again, or queue the vCon.")
        try:
            future = self._pool.submit(work)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())  # also where the caller hung up
        return await asyncio.wrap_future(future)


def router(settings: Settings, gate: Gate, record: DirectRecord | None = None) -> APIRouter:
    """The routes. ``gate`` guards each. ``record``: counts runs for Dagster (default: it is told over the webserver of
    this installation)."""
    routes = APIRouter(prefix="/v1", tags=["Direct runs"])
    bench = Workbench(settings)
    runs = Runs()
    counted = record or DirectRecord(reported_to(f"http://{LOOPBACK}:{settings.webserver_port}"))

    def run(
        name: str, given: Callable[[], Given], save: bool, parameters: str | None, request: Request
    ) -> DirectResult:
        definition = _pipeline(bench, name)
        begin_with = _parameters(parameters)
        ending = "failed"
        try:
            once = once_of(request)
            result = run_pipeline(bench.engine, definition, given(), save=save, parameters=begin_with, once=once)
            ending = result.verdict.ending
        except DirectRunFailed:
            counted.add(name, ending)
            raise
        counted.add(name, ending)
        return result

    @routes.post(
        "/pipelines/{name}/run",
        dependencies=gate("process"),
        summary="Run a pipeline on a posted vCon",
        openapi_extra={"requestBody": {"content": {"application/vcon": {}, "application/json": {}}}},
        responses=_RESPONSES,
    )
    async def run_posted(
        request: Request,
        who: WhoAsks,
        name: str,
        save: Save = False,
        results: Results = True,
        parameters: Parameters = None,
    ) -> Response:
        """With ``save`` the vCon is taken in first, as by POST /v1/vcons, and stays there whatever becomes of the run.
        Without it nothing of it is stored."""
        content, media_type = await _content(request), request.headers.get("content-type")
        media_type = None if media_type == "application/json" else media_type

        def given() -> Given:
            if save:
                door = open_door(settings, bench.store)
                answer = door.take(content, source_of(settings, who, "api"), media_type=media_type)
                return may_run(who, bench.store.documents, answer)
            return _look(bench, content, media_type)

        return _told(await runs(lambda: run(name, given, save, parameters, request)), results)

    @routes.post(
        "/pipelines/{name}/run/{uuid}",
        dependencies=gate("process"),
        summary="Run a pipeline on a stored vCon",
        responses=_RESPONSES,
    )
    async def run_stored(
        request: Request,
        who: WhoAsks,
        name: str,
        uuid: str,
        save: Save = False,
        results: Results = True,
        parameters: Parameters = None,
    ) -> Response:
        """The definition's ``save_vcons`` and its success and failure queues do not count here."""
        known = uuid_in(uuid)

        def given() -> Given:
            must_see(who, bench.store.documents, known)
            return known

        return _told(await runs(lambda: run(name, given, save, parameters, request)), results)

    @routes.post(
        "/processors/{name}/run/{uuid}",
        dependencies=gate("process"),
        summary="Run one processor on a stored vCon",
        responses=_RESPONSES,
    )
    async def run_one(
        request: Request,
        who: WhoAsks,
        name: str,
        uuid: str,
        options: Annotated[dict[str, Any] | None, Body(description="The processor's options.")] = None,
        save: Save = False,
        results: Results = True,
        parameters: Parameters = None,
    ) -> Response:
        """Its ``should_process`` does not count: it was asked for."""
        known = uuid_in(uuid)

        def work() -> DirectResult:
            must_see(who, bench.store.documents, known)
            registry = bench.catalogue.registry
            try:
                processor = registry.get(name)
            except UnknownProcessor as error:
                broken = name in registry.broken
                status, code = (503, "processor_unavailable") if broken else (404, "not_found")
                raise Problem(status, code, str(error)) from None
            try:
                chosen = processor.options.model_validate(options or {})
            except ValidationError as error:
                raise DefinitionError(*model_faults(error, processor.options)) from None
            return run_processor(
                bench.engine,
                processor,
                chosen,
                known,
                save=save,
                parameters=_parameters(parameters),
                once=once_of(request),
            )

        return _told(await runs(work), results)

    @routes.post(
        "/pipelines/{name}/simulate",
        dependencies=gate("process"),
        summary="Simulate a pipeline, step by step",
        responses=_RESPONSES,
    )
    async def simulate(who: WhoAsks, name: str, body: SimulateIn, buy: Buy = False) -> Response:
        """What each processor would change, queue, send and buy. Nothing is saved, sent or (without ``buy``) bought."""
        return await simulated(lambda: _pipeline(bench, name), who, body, buy)

    @routes.post(
        "/simulate",
        dependencies=gate("process"),
        summary="Simulate a posted definition, step by step",
        responses=_RESPONSES,
    )
    async def simulate_posted(who: WhoAsks, body: SimulateDefinitionIn, buy: Buy = False) -> Response:
        """The same for a definition that is not, or not yet, one of this installation."""
        return await simulated(
            lambda: read_definition(body.name, body.definition, bench.catalogue.registry), who, body, buy
        )

    async def simulated(definition: Callable[[], Definition], who: Caller, body: SimulateIn, buy: bool) -> Response:
        def work() -> Mapping[str, Any]:
            chosen = definition()
            vcon = _sample(bench, who, body)
            return bench.simulator().run(chosen, vcon, parameters=body.parameters, buy=buy).to_json()

        return _json(await runs(work))

    return routes


_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such pipeline, processor or vCon"},
    409: {"description": "Others keep changing the vCon, or it is in no state to be processed"},
    422: {"description": "The input does not fit, or the processor refused the conversation"},
    502: {"description": "A provider that a processor calls failed"},
    503: {"description": "Not configured, not available, or too many runs"},
    504: {"description": "A time limit was reached"},
}


def _failed(failed: DirectRunFailed) -> Problem:
    """A conversation that failed, by what made it fail."""
    verdict = failed.verdict
    extra: dict[str, Any] = {
        "failure": verdict.code,
        "processor": verdict.processor,
        "run_id": failed.run_id,
        "uuid": failed.uuid,
    }
    if verdict.code == "timeout":
        return Problem(504, "timeout", str(failed), **extra)
    if verdict.code in ("not_configured", "NotConfigured"):
        return Problem(503, "not_configured", str(failed), **extra)
    if failed.transient:
        return Problem(502, "provider_failed", str(failed), **extra)
    if verdict.code == "Sealed":
        return Problem(409, "wrong_state", str(failed), **extra)
    return Problem(422, "run_failed", str(failed), **extra)


def _pipeline(bench: Workbench, name: str) -> Definition:
    catalogue = bench.catalogue.get()
    if name in catalogue.pipelines:
        return catalogue.pipelines[name]
    try:
        return catalogue.get(name)
    except DefinitionError as error:
        broken = name in catalogue.broken
        raise Problem(409 if broken else 404, "pipeline_broken" if broken else "not_found", str(error)) from None


def _sample(bench: Workbench, who: Caller, body: SimulateIn) -> Vcon:
    if (body.uuid is None) == (body.vcon is None):
        raise Problem(422, "bad_input", "/: give one of 'uuid' (a stored vCon) and 'vcon' (one in hand)")
    if body.uuid is not None:
        vcon = bench.reading.read_one(uuid_in(body.uuid))
        must_see(who, bench.store.documents, vcon.uuid, vcon)
        return vcon
    return _look(bench, orjson.dumps(body.vcon), None)


def _look(bench: Workbench, content: bytes, media_type: str | None) -> Vcon:
    settings = bench.settings
    refers = bench.store.documents.refers
    return look(content, settings, zone=zone_of(settings), media_type=media_type, may_refer=refers)


async def _content(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST:
            raise Problem(
                413,
                "too_large",
                f"A direct run takes a vCon of at most {LARGEST >> 20} MiB in its body. Post it to /v1/vcons and run "
                "the pipeline on its uuid.",
            )
        pieces.append(piece)
    return b"".join(pieces)


def _parameters(given: str | None) -> dict[str, Any]:
    if given is None:
        return {}
    try:
        value = orjson.loads(given)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Problem(422, "bad_parameters", "The query's 'parameters' must be a JSON object.")
    return value


def _told(result: DirectResult, results: bool) -> Response:
    told = result.to_json()
    return _json(told if results else {"run": told["run"]})


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers={"Cache-Control": "no-store"})

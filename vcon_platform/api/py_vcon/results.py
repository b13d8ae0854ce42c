"""What a direct run gives, as py_vcon_server gives it: vCons, which of them changed, parameters, jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import Response
from starlette.concurrency import run_in_threadpool

from vcon_platform.access.caller import Caller
from vcon_platform.api.parts import source_of
from vcon_platform.api.pipeline_runs import Runs
from vcon_platform.api.py_vcon.faults import fault, no_vcon, of_run
from vcon_platform.api.py_vcon.forms import ADAPTER, written
from vcon_platform.api.visibility import may_run, must_see
from vcon_platform.errors import PlatformError
from vcon_platform.ingress.looking import NotReady, look
from vcon_platform.ingress.opening import open_door, zone_of
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.direct import (
    DirectRefused,
    DirectResult,
    DirectRunFailed,
    Given,
    run_pipeline,
    run_processor,
)
from vcon_platform.pipelines.workbench import Workbench
from vcon_platform.processors.base import Processor, ProcessorOptions
from vcon_platform.services.direct_record import DirectRecord
from vcon_platform.store.documents import Missing, RevisionConflict
from vcon_platform.store.media_documents import inline
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.gates import canonical_uuid

Provide = Callable[[], Given]
"""Gives what is worked on, in the run's own thread."""


class Direct:
    """Direct runs for these routes."""

    def __init__(self, bench: Workbench, record: DirectRecord) -> None:
        self.bench = bench
        self._record = record
        self._runs = Runs()

    def stored(self, who: Caller, given: str, *, peer: int = 404) -> Provide:
        """A stored vCon that this caller may see."""

        def provide() -> Given:
            uuid = canonical_uuid(given)
            if uuid is None:
                raise no_vcon(given, peer=peer)
            try:
                must_see(who, self.bench.store.documents, uuid, self.bench.store.documents.read_one(uuid))
            except Missing:
                raise no_vcon(given, peer=peer) from None
            return uuid

        return provide

    async def pipeline(self, definition: Definition, provide: Provide, *, save: bool, results: bool) -> Response:
        """Run a pipeline."""

        def work() -> DirectResult:
            ending = "failed"
            try:
                found = run_pipeline(self.bench.engine, definition, provide(), save=save)
                ending = found.verdict.ending
                return found
            finally:
                self._record.add(definition.name, ending)

        found = await self._told(work)
        return _json(await run_in_threadpool(self._output, found)) if results else _json(None)

    async def processor(
        self,
        processor: type[Processor[Any]],
        options: ProcessorOptions,
        provide: Provide,
        *,
        save: bool,
        parameters: dict[str, Any] | None = None,
    ) -> Response:
        """Run one processor."""

        def work() -> DirectResult:
            return run_processor(self.bench.engine, processor, options, provide(), save=save, parameters=parameters)

        return _json(await run_in_threadpool(self._output, await self._told(work)))

    async def _told(self, work: Callable[[], DirectResult]) -> DirectResult:
        try:
            return await self._runs.plainly(work)
        except (DirectRunFailed, DirectRefused, NotReady, Missing, RevisionConflict) as error:
            raise of_run(error) from None

    def _output(self, result: DirectResult) -> dict[str, Any]:
        return {
            "vcons": [self._written(vcon) for vcon in result.vcons],
            "vcons_modified": list(result.modified),
            "parameters": dict(result.parameters),
            "queue_jobs": [
                {
                    "job_type": "vcon_uuid",
                    "to_queue": job.queue,
                    "vcon_uuids": list(job.vcon_uuids),
                    **({"from_queue": job.from_queue} if job.from_queue else {}),
                }
                for job in result.queued
            ],
        }

    def _written(self, vcon: Vcon) -> dict[str, Any]:
        """A document with its bodies, in the version that its client knows; a signed or encrypted one in that form."""
        if (form := vcon.handed_out) is not vcon.data:
            return form
        store = self.bench.store
        data = written(vcon.data, store.documents.meta(vcon.uuid))
        for array in ("dialog", "analysis", "attachments"):
            if data.get(array):
                data[array] = [inline(store.media, each) for each in data[array]]
        return data


def given_vcon(direct: Direct, who: Caller, *contents: bytes, save: bool) -> Provide:
    """vCons in a request. With ``save`` they are taken in first, as by POST /vcon; then nobody may overwrite what their
    key hides. Raises Problem."""

    def provide() -> Given:
        bench = direct.bench
        settings, documents = bench.settings, bench.store.documents
        try:
            if not save:
                return [look(each, settings, zone=zone_of(settings), may_refer=documents.refers) for each in contents]
            who.need("ingest")
            door = open_door(settings, bench.store)
            source = source_of(settings, who, ADAPTER)
            taken = [may_run(who, documents, door.take(each, source)) for each in contents]
            return list(documents.read(taken).values())
        except Rejected as error:
            raise fault(422, str(error)) from None
        except PlatformError as error:
            raise of_run(error) if isinstance(error, NotReady) else error from None

    return provide


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers={"Cache-Control": "no-store"})

"""``/pipeline``, ``/pipelines``: definitions, and running them on one vCon."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.py_vcon.faults import fault
from vcon_platform.api.py_vcon.results import Direct, given_vcon
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.faults import DefinitionError
from vcon_platform.pipelines.stored import NotStored
from vcon_platform.processors.base import ProcessorOptions
from vcon_platform.services.pipeline_edits import PipelineEdits

BY = "py_vcon-api"
_COMMON = ("label", "notes", "input_vcon_index", "should_process", "format_options")
"""Options that every processor has there."""
Validate = Annotated[bool, Query(description="Without effect: what cannot run is never stored.")]
Save = Annotated[bool, Query(description="Keep what was changed and made. Jobs are queued in any case.")]
Results = Annotated[bool, Query(description="False: the answer is null.")]


class PipelineDefinition(BaseModel):
    """A pipeline."""

    model_config = ConfigDict(extra="allow")

    pipeline_options: dict[str, Any]
    processors: list[dict[str, Any]] = Field(description="processor_name and processor_options, in their order.")


def router(gate: Gate, direct: Direct) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter()
    admin: list[str | Any] = ["Admin: Pipelines"]
    runs: list[str | Any] = ["vCon: Pipelines"]
    bench = direct.bench

    def definition(name: str) -> Definition:
        found = bench.catalogue.get()
        if name not in found.pipelines:
            raise fault(404, f"pipeline: {name} not found")
        return found.pipelines[name]

    @routes.get("/pipelines", dependencies=gate("read", "operate"), tags=admin, summary="Names of all pipelines")
    def names() -> list[str]:
        return list(bench.catalogue.get().pipelines)

    @routes.get("/pipeline/{name}", dependencies=gate("read", "operate"), tags=admin, summary="A pipeline")
    def get(name: str) -> dict[str, Any]:
        return _told(definition(name))

    @routes.put(
        "/pipeline/{name}", dependencies=gate("operate"), tags=admin, summary="Store a pipeline", status_code=204
    )
    async def put(name: str, body: PipelineDefinition, validate_processor_options: Validate = True) -> None:  # noqa: ARG001
        """Options that a processor does not know are refused here, with the likeliest one meant."""
        raw = body.model_dump(mode="json")
        raw["processors"] = [
            {key: value for key, value in entry.items() if key in ("processor_name", "processor_options", "comment")}
            for entry in raw["processors"]
        ]
        for entry in raw["processors"]:
            processor = entry.get("processor_name")
            if not isinstance(processor, str) or processor not in bench.catalogue.registry:
                raise fault(422, f"processor: {processor} not registered")
        try:
            await run_in_threadpool(_edits(direct).put, name, raw, BY)
        except DefinitionError as error:
            raise fault(422, str(error), peer=500) from None

    @routes.delete(
        "/pipeline/{name}", dependencies=gate("operate"), tags=admin, summary="Delete a pipeline", status_code=204
    )
    def delete(name: str) -> None:
        """Its queue stays."""
        definition(name)
        try:
            _edits(direct).delete(name, BY)
        except NotStored:
            raise fault(404, f"pipeline: {name} not found") from None

    @routes.post(
        "/pipeline/{name}/run",
        dependencies=gate("process"),
        tags=runs,
        summary="Run a pipeline on the vCon in the body",
        openapi_extra={"requestBody": {"content": {"application/json": {}}}},
    )
    async def run(
        request: Request, name: str, who: WhoAsks, save_vcons: Save = False, return_results: Results = True
    ) -> Response:
        chosen = await run_in_threadpool(definition, name)
        content = await request.body()
        given = given_vcon(direct, who, content, save=save_vcons)
        return await direct.pipeline(chosen, given, save=save_vcons, results=return_results)

    @routes.post(
        "/pipeline/{name}/run/{vcon_uuid}",
        dependencies=gate("process"),
        tags=runs,
        summary="Run a pipeline on a stored vCon",
    )
    async def run_stored(
        name: str, vcon_uuid: str, who: WhoAsks, save_vcons: Save = False, return_results: Results = True
    ) -> Response:
        chosen = await run_in_threadpool(definition, name)
        return await direct.pipeline(
            chosen, direct.stored(who, vcon_uuid, peer=500), save=save_vcons, results=return_results
        )

    return routes


def _edits(direct: Direct) -> PipelineEdits:
    return PipelineEdits(direct.bench.settings, direct.bench.store.client, direct.bench.catalogue)


def _told(definition: Definition) -> dict[str, Any]:
    """Defaults filled in, null members left out; of a processor's options the common ones and those that were given."""
    options = definition.options.model_dump(mode="json", exclude_none=True)
    wanted = {"label", "notes", "save_vcons", "timeout", "success_queue", "failure_queue"}
    given = definition.raw.get("pipeline_options") or {}
    return {
        "pipeline_options": {key: value for key, value in options.items() if key in wanted or key in given},
        "processors": [
            {
                "processor_name": step.processor.name,
                "processor_options": _options(step.options, entry.get("processor_options") or {}),
            }
            for step, entry in zip(definition.steps, definition.raw.get("processors") or [], strict=False)
        ],
    }


def _options(options: ProcessorOptions, given: dict[str, Any]) -> dict[str, Any]:
    everything = options.model_dump(mode="json")
    return {**{name: everything[name] for name in _COMMON}, **given}

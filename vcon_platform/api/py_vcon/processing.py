"""``/process/{uuid}/{processor}`` and ``/processIO/{processor}``: one processor on stored or posted vCons.

One route of each for every processor that is installed, so that each processor's options stand in the OpenAPI document:
the editor makes its forms of them.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.py_vcon.faults import fault
from vcon_platform.api.py_vcon.results import Direct, given_vcon
from vcon_platform.pipelines.faults import model_faults
from vcon_platform.processors.base import Processor, ProcessorOptions
from vcon_platform.processors.registry import Registry

UNKNOWN_OPTIONS = "X-Vcon-Unknown-Options"
"""Header of an answer: options that were sent and that the processor does not know."""
Commit = Annotated[bool, Query(description="Keep what was changed and made. Jobs are queued in any case.")]
Whole = Annotated[bool, Query(description="Without effect.")]


class ProcessorIOIn(BaseModel):
    """vCons and parameters to begin with."""

    model_config = ConfigDict(extra="ignore")

    vcons: list[dict[str, Any]] = Field(min_length=1, description="Each in any of the three forms.")
    parameters: dict[str, Any] = Field(default_factory=dict)


def router(gate: Gate, direct: Direct, registry: Registry) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(tags=["vCon: Processors"])
    for processor in registry:
        _add(routes, gate, direct, processor)
    return routes


def _add(routes: APIRouter, gate: Gate, direct: Direct, processor: type[Processor[Any]]) -> None:
    name = processor.name
    # Options that are not known pass here, as they do there, and are told in a header.
    lenient = create_model(f"{processor.options.__name__}In", __base__=processor.options)
    lenient.model_config = ConfigDict(extra="allow", frozen=True)
    lenient.model_rebuild(force=True)
    envelope = create_model(
        f"{name}_io", processor_io=(ProcessorIOIn, ...), processor_options=(dict[str, Any], Field(default_factory=dict))
    )

    async def stored(
        vcon_uuid: str,
        who: WhoAsks,
        options: Any,
        commit_changes: Commit = False,
        return_whole_vcon: Whole = True,  # noqa: ARG001 - its clients send it
    ) -> Response:
        chosen, unknown = _chosen(processor, options.model_dump(exclude_unset=True))
        given = direct.stored(who, vcon_uuid)
        return _noted(await direct.processor(processor, chosen, given, save=commit_changes), unknown)

    async def posted(body: Any, who: WhoAsks, commit_changes: Commit = False) -> Response:
        io: ProcessorIOIn = body.processor_io
        chosen, unknown = _chosen(processor, body.processor_options)
        given = given_vcon(direct, who, *map(orjson.dumps, io.vcons), save=commit_changes)
        done = await direct.processor(processor, chosen, given, save=commit_changes, parameters=io.parameters)
        return _noted(done, unknown)

    stored.__annotations__["options"] = Annotated[lenient, Body()]
    posted.__annotations__["body"] = envelope
    add = routes.post
    about = {"summary": processor.title, "description": processor.description, "dependencies": gate("process")}
    add(f"/process/{{vcon_uuid}}/{name}", operation_id=f"process_{name}", **about)(stored)  # type: ignore[arg-type]
    add(f"/processIO/{name}", operation_id=f"processIO_{name}", **about)(posted)  # type: ignore[arg-type]


def _chosen(processor: type[Processor[Any]], given: dict[str, Any]) -> tuple[ProcessorOptions, list[str]]:
    known = {key: value for key, value in given.items() if key in processor.options.model_fields}
    try:
        options = processor.options.model_validate(known)
    except ValidationError as error:
        faults = model_faults(error, processor.options)
        told = "; ".join(f"{each.pointer}: {each.message}" for each in faults)
        raise fault(422, told, peer=500) from None
    return options, sorted(set(given) - set(known))


def _noted(response: Response, unknown: list[str]) -> Response:
    if unknown:
        response.headers[UNKNOWN_OPTIONS] = ",".join(each for each in unknown if each.isidentifier())
    return response

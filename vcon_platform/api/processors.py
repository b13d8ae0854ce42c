"""``/v1/processors``: which processors there are, and their options; also as components of the OpenAPI document.

Belongs here: the requests, the answers' shape, the components. Not here: what a processor says of itself
(``processors/describe.py``), running one (``pipeline_runs.py``).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from vcon_platform.api.auth import Gate
from vcon_platform.api.problems import Problem
from vcon_platform.pipelines.pipeline_options import PipelineOptions
from vcon_platform.processors.base import Processor
from vcon_platform.processors.describe import describe
from vcon_platform.processors.registry import Registry, UnknownProcessor

_COMPONENTS = "#/components/schemas/"


class EffectsOut(BaseModel):
    """What a processor may do."""

    costs: bool = Field(description="Takes money or minutes per conversation; results are kept and not bought twice.")
    network: bool = Field(description="Waits for the network; many conversations are worked on at once.")
    may_drop: bool = Field(description="May end a conversation's way.")
    changes: bool = Field(description="Changes the vCon, or adds one.")
    sends: bool = Field(description="Has something done outside, once, after the commit.")
    purpose: str = Field(description="What parties must have consented to where consent is enforced; empty: nothing.")


class OptionOut(BaseModel):
    """One option."""

    name: str
    title: str
    type: str = Field(description="In words: 'integer from 1 to 50', 'list of string'.")
    required: bool
    default: Any
    secret: bool = Field(description="Takes a reference, env:NAME, and never the value itself.")
    common: bool = Field(description="Every processor has it.")
    description: str


class ProcessorOut(BaseModel):
    """One processor."""

    name: str
    version: str
    title: str
    description: str
    effects: EffectsOut
    effects_in_words: list[str]
    purpose: str
    pool: str = Field(description="The name by which VCON_POOLS limits its calls at once; empty: none.")
    options: list[OptionOut]


class ProcessorWithSchema(ProcessorOut):
    """One processor with the JSON schema of its options."""

    options_schema: dict[str, Any] = Field(description="JSON Schema 2020-12; what it refers to is within it.")
    component: str = Field(description="Where the same schema stands in this API's OpenAPI document.")


class ProcessorsOut(BaseModel):
    """All of them."""

    processors: list[ProcessorOut]
    broken: dict[str, str] = Field(description="Plugins that are installed and cannot be used, and why.")


def router(gate: Gate, registry: Registry) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/processors", tags=["Processors"])
    guarded = gate("read", "operate", "process")

    @routes.get("", dependencies=guarded, summary="Which processors there are")
    def everything() -> ProcessorsOut:
        """Those of the platform and of plugins, in the order of their names."""
        told = [ProcessorOut.model_validate(describe(cls)) for cls in registry]
        return ProcessorsOut(processors=told, broken=dict(registry.broken))

    @routes.get(
        "/{name}",
        dependencies=guarded,
        summary="One processor, with the schema of its options",
        responses={404: {"description": "There is none of this name; the likeliest one meant is told"}},
    )
    def one(name: str) -> ProcessorWithSchema:
        try:
            cls = registry.get(name)
        except UnknownProcessor as error:
            broken = name in registry.broken
            status, code = (503, "processor_unavailable") if broken else (404, "not_found")
            raise Problem(status, code, str(error)) from None
        return ProcessorWithSchema(
            **describe(cls), options_schema=cls.options.model_json_schema(), component=_COMPONENTS + _options_of(cls)
        )

    return routes


def add_option_schemas(app: FastAPI, registry: Registry) -> None:
    """Have the OpenAPI document hold the options of every processor, and what a definition is made of. They are worked
    out when the document is first asked for."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        document = made()
        if fresh:
            document.setdefault("components", {}).setdefault("schemas", {}).update(components(registry))
            content = document["paths"]["/v1/pipelines/{name}"]["put"]["requestBody"]["content"]
            content["application/json"]["schema"] = {"$ref": f"{_COMPONENTS}PipelineDefinition"}
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def components(registry: Registry) -> dict[str, Any]:
    """The schemas of a definition, of each processor as a step of one (``{name}_step``) and of its options
    (``{name}_options``), by their names as components. What a schema refers to is a component named after it."""
    found: dict[str, Any] = _model("PipelineOptions", PipelineOptions)
    for cls in registry:
        found |= _model(_options_of(cls), cls.options)
        found[f"{cls.name}_step"] = {
            "type": "object",
            "title": cls.title,
            "description": cls.description,
            "properties": {
                "processor_name": {"const": cls.name},
                "processor_options": {"$ref": _COMPONENTS + _options_of(cls)},
                **{remark: {"type": ["string", "null"]} for remark in ("label", "notes", "comment")},
            },
            "required": ["processor_name"],
        }
    steps = {cls.name: f"{_COMPONENTS}{cls.name}_step" for cls in registry}
    found["PipelineDefinition"] = {
        "type": "object",
        "title": "Pipeline definition",
        "properties": {
            "pipeline_options": {"$ref": f"{_COMPONENTS}PipelineOptions"},
            "processors": {
                "type": "array",
                "items": {
                    "oneOf": [{"$ref": place} for place in steps.values()],
                    "discriminator": {"propertyName": "processor_name", "mapping": steps},
                },
            },
        },
        "required": ["processors"],
    }
    return found


def _options_of(cls: type[Processor[Any]]) -> str:
    return f"{cls.name}_options"


def _model(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema as the component ``name``, and beside it those of its parts: two plugins may well have parts of
    one name that differ."""
    schema = model.model_json_schema(ref_template=f"{_COMPONENTS}{name}.{{model}}")
    parts = schema.pop("$defs", {})
    return {name: schema, **{f"{name}.{part}": each for part, each in parts.items()}}

"""Processors over HTTP: what they are, and their options as schemas a form can be made of."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tests.api.support import NO_GATE
from vcon_platform.api.app import create_app
from vcon_platform.api.auth import KeyRequired
from vcon_platform.api.problems import add_problems
from vcon_platform.api.processors import components, router
from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.settings import Settings

REGISTRY = load_processors()


def client_of(registry: Registry) -> TestClient:
    app = FastAPI()
    add_problems(app)
    app.add_middleware(KeyRequired, gate=NO_GATE)
    app.include_router(router(NO_GATE, registry))
    return TestClient(app)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of(REGISTRY)


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole application's document; nothing is connected for it."""
    settings = Settings(_env_file=None, data_dir_setting=tmp_path_factory.mktemp("data"))
    document: dict[str, Any] = create_app(settings).openapi()
    return document


def test_every_processor_is_listed(client: TestClient) -> None:
    told = client.get("/v1/processors").json()["processors"]
    assert [each["name"] for each in told] == list(REGISTRY.names)


def test_a_plugin_that_is_broken_is_told_with_the_cause() -> None:
    told = client_of(Registry({}, {"odd": "it does not import"})).get("/v1/processors").json()
    assert told == {"processors": [], "broken": {"odd": "it does not import"}}


def test_one_processor_tells_effects_purpose_and_pool(client: TestClient) -> None:
    told = client.get("/v1/processors/deepgram").json()
    assert told["effects"]["costs"] is True
    assert (told["purpose"], told["pool"]) == ("transcription", "deepgram")


def test_the_schema_of_its_options_accepts_what_the_processor_accepts(client: TestClient) -> None:
    schema = client.get("/v1/processors/recall_finder").json()["options_schema"]
    assert list(Draft202012Validator(schema).iter_errors({"words": ["recall"], "min_count": 2})) == []
    assert list(Draft202012Validator(schema).iter_errors({"wordz": ["recall"]})) != []


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("recall_findr", 404, "did you mean"), ("deepgram_link", 404, "link of the conserver")],
)
def test_a_name_that_is_none_is_told_the_right_one(client: TestClient, name: str, status: int, words: str) -> None:
    answer = client.get(f"/v1/processors/{name}")
    assert (answer.status_code, answer.json()["code"]) == (status, "not_found")
    assert words in answer.json()["detail"]


def test_a_broken_one_is_unavailable() -> None:
    answer = client_of(Registry({}, {"odd": "it does not import"})).get("/v1/processors/odd")
    assert (answer.status_code, answer.json()["code"]) == (503, "processor_unavailable")


def test_the_openapi_document_holds_every_options_model(openapi: dict[str, Any], client: TestClient) -> None:
    schemas = openapi["components"]["schemas"]
    for name in REGISTRY.names:
        place = client.get(f"/v1/processors/{name}").json()["component"]
        assert set(schemas[place.rpartition("/")[2]]["properties"]) == set(REGISTRY.get(name).options.model_fields)


def test_a_definition_is_described_where_one_is_put(openapi: dict[str, Any]) -> None:
    content = openapi["paths"]["/v1/pipelines/{name}"]["put"]["requestBody"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/PipelineDefinition"}


def test_the_schema_of_a_definition_tells_good_from_bad(openapi: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/PipelineDefinition", "components": openapi["components"]}
    check = Draft202012Validator(schema)
    good = {"processor_name": "recall_finder", "processor_options": {"min_count": 2}}
    assert list(check.iter_errors({"processors": [good], "pipeline_options": {"timeout": 5}})) == []
    for bad in ({"processor_name": "nobody"}, {**good, "processor_options": {"min_count": "x"}}):
        assert list(check.iter_errors({"processors": [bad]})) != []


def test_every_reference_in_the_document_leads_to_a_component(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    assert [place for place in _references(openapi) if place.removeprefix("#/components/schemas/") not in schemas] == []


def test_parts_of_one_name_do_not_stand_for_each_other() -> None:
    found = components(Registry({"one": _with_part("one", int), "two": _with_part("two", str)}))
    assert found["one_options.Part"]["properties"]["it"]["type"] == "integer"
    assert found["two_options.Part"]["properties"]["it"]["type"] == "string"


def _with_part(name: str, kind: type) -> type[Processor[Any]]:
    part = type("Part", (BaseModel,), {"__annotations__": {"it": kind}})
    members = {
        "__annotations__": {"part": part | None},
        "part": Field(default=None, title="Part", description="A part."),
    }
    options = type("Options", (ProcessorOptions,), members)

    def process(self: object, io: ProcessorIO, options: Any) -> ProcessorIO:
        return io

    about = {"name": name, "version": "1", "title": name, "description": name, "options": options, "process": process}
    return type(name, (Processor,), about)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for each in value.values() for found in _references(each)]
    return [found for each in value for found in _references(each)] if isinstance(value, list) else []

"""``/v1/pipelines``: definitions in and out, their versions, and whether they are live.

Belongs here: requests into calls of ``services/pipeline_edits.py``. Not here: what makes a definition good, or running
one (``pipeline_runs.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from vcon_platform.api.auth import Gate
from vcon_platform.api.problems import Problem
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.pipelines.faults import DefinitionFault
from vcon_platform.pipelines.stored import NotStored, StoredDefinitions, Version
from vcon_platform.pipelines.texts import MOST_BYTES, parse_text
from vcon_platform.pipelines.yaml_text import as_yaml
from vcon_platform.services.going_live import Live, loaded_versions
from vcon_platform.services.pipeline_edits import Edited, PipelineEdits
from vcon_platform.settings import Settings
from vcon_platform.store.connection import connect

if TYPE_CHECKING:
    from vcon_platform.pipelines.catalogue import Catalogue

BY = "api"
"""Who wrote a version that came over the API: it knows one key."""
MOST_WAIT = 120.0

Wait = Annotated[
    float, Query(ge=0, le=MOST_WAIT, description="Seconds to wait until it is live. 0: store it, do not reload.")
]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="The ETag it was read with: refused if it changed since.")
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: only if there is none yet.")]


class FaultOut(BaseModel):
    """Something about one place of a definition."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the definition.")
    message: str


class PipelineOut(BaseModel):
    """One pipeline, as lists have it."""

    name: str
    version: str | None = Field(description="Hash of the definition that is in use; null: none is.")
    source: Literal["file", "stored"]
    label: str
    processors: list[str]
    lane: str | None
    live: bool | None = Field(description="Whether Dagster has loaded this version; null: Dagster cannot be asked.")
    loaded: str | None = Field(description="The version that Dagster has loaded.")
    fault: str | None = Field(description="What is wrong with the definition, if it cannot be used.")
    fallen_back: bool = Field(description="The last good version runs on, because what followed it is broken.")
    warnings: list[str]


class VersionOut(BaseModel):
    """One version of a definition."""

    number: int
    version: str
    at: datetime
    by: str
    source: Literal["stored", "file", "deleted"]
    note: str


class EditedOut(BaseModel):
    """What became of a change."""

    name: str
    number: int = Field(description="The number of the version this made, or found to be the same.")
    version: str
    live: bool | None = Field(description="Whether runs that start from now on use it; null: nobody was to reload.")
    state: Literal["live", "loading", "dagster_down", "refused", "stored"]
    message: str
    warnings: list[FaultOut]


class CheckedOut(BaseModel):
    """A definition that could be stored."""

    name: str
    version: str
    processors: list[str]
    warnings: list[FaultOut]


class ReloadedOut(BaseModel):
    """What became of a reload."""

    live: bool
    state: Literal["live", "loading", "dagster_down", "refused"]
    message: str
    broken: dict[str, str] = Field(description="Pipelines whose definition cannot be used, and why.")


class RollBackIn(BaseModel):
    """Which version to go back to."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, description="Its number.")


class _Parts:
    """What the routes work with, made by the first request."""

    def __init__(self, settings: Settings, current: CurrentCatalogue | None) -> None:
        self._settings = settings
        self._current = current
        self._edits: PipelineEdits | None = None

    @property
    def edits(self) -> PipelineEdits:
        if self._edits is None:
            self._edits = PipelineEdits(self._settings, connect(self._settings.redis_url()), self._current)
        return self._edits

    @property
    def stored(self) -> StoredDefinitions:
        return self.edits.stored


def router(settings: Settings, gate: Gate, current: CurrentCatalogue | None = None) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/pipelines", tags=["Pipelines"])
    parts = _Parts(settings, current)

    @routes.get("", dependencies=gate("read", "operate"), summary="All pipelines: version, source, fault, whether live")
    def everything() -> list[PipelineOut]:
        found, loaded = parts.edits.current.refresh(), loaded_versions(settings)
        return [_pipeline(name, found, loaded) for name in sorted({*found.pipelines, *found.broken})]

    @routes.post("/reload", dependencies=gate("operate"), summary="Have Dagster load every definition anew")
    def reload(wait: Wait = 30.0) -> ReloadedOut:
        """For files that were edited: what is changed over this API goes live by itself."""
        found, live = parts.edits.reload(wait)
        return ReloadedOut(live=live.live, state=live.state, message=live.message, broken=dict(found.broken))

    @routes.get(
        "/{name}",
        dependencies=gate("read", "operate"),
        summary="One definition",
        responses={200: {"content": {"application/yaml": {}}}},
    )
    def one(
        name: str,
        request: Request,
        version: Annotated[int | None, Query(ge=1, description="The number of an earlier version.")] = None,
    ) -> Response:
        """As JSON, or as YAML with `Accept: application/yaml`. The `ETag` is its version, for `If-Match`."""
        if version is None:
            definition, tag = _now(parts, name)
        else:
            kept = parts.stored.version(name, version)
            if kept.source == "deleted":
                raise Problem(404, "not_found", f"version {version} of pipeline {name!r} is its deletion")
            definition, tag = dict(kept.definition), kept.version
        headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "Vary": "Accept"}
        if "yaml" in request.headers.get("accept", ""):
            return Response(as_yaml(definition), headers=headers, media_type="application/yaml")
        return Response(orjson.dumps(definition), headers=headers, media_type="application/json")

    @routes.put(
        "/{name}",
        dependencies=gate("operate"),
        summary="Store a definition, and have it go live",
        status_code=201,
        openapi_extra={"requestBody": {"content": {"application/json": {}, "application/yaml": {}}}},
        responses={
            200: {"model": EditedOut, "description": "There was one of this name, or the same"},
            409: {"description": "A file defines it"},
            412: {"description": "It changed since it was read"},
            422: {"description": "Refused; each fault has a JSON pointer and a sentence"},
        },
    )
    async def put(
        name: str,
        request: Request,
        response: Response,
        wait: Wait = 30.0,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> EditedOut:
        """The body is the definition, JSON (as py_vcon_server has it) or YAML."""
        raw = await _body(request)

        def work() -> tuple[Edited, bool]:
            base, there = _base(parts, name, if_match, if_none_match)
            return parts.edits.put(name, raw, BY, base=base, wait=wait or None), there

        edited, there = await run_in_threadpool(work)
        response.status_code = 200 if there else 201
        response.headers["ETag"] = f'"{edited.version.version}"'
        response.headers["Location"] = f"/v1/pipelines/{name}"
        return _edited(edited)

    @routes.delete("/{name}", dependencies=gate("operate"), summary="Delete a stored definition")
    def delete(name: str, wait: Wait = 30.0, if_match: IfMatch = None) -> EditedOut:
        """Its versions stay, and so does its queue with the jobs in it."""
        base, _ = _base(parts, name, if_match, None)
        return _edited(parts.edits.delete(name, BY, base=base, wait=wait or None))

    @routes.get(
        "/{name}/versions", dependencies=gate("read", "operate"), summary="Every version of a definition, oldest first"
    )
    def versions(name: str) -> list[VersionOut]:
        """Also of one that stands in a file: each content that loaded well is a version."""
        found = parts.stored.versions(name)
        if not found:
            raise NotStored(f"pipeline {name!r} has no versions yet; a file has its first one once Dagster loaded it")
        return [_version(each) for each in found]

    @routes.get(
        "/{name}/diff",
        dependencies=gate("read", "operate"),
        summary="How two versions differ",
        responses={200: {"content": {"text/plain": {}}}},
    )
    def diff(
        name: str,
        a: Annotated[int, Query(ge=1, description="The number of the one version.")],
        b: Annotated[int | None, Query(ge=1, description="The number of the other; unset: the newest.")] = None,
    ) -> Response:
        """A unified diff of their YAML; empty if they are equal."""
        newest = parts.stored.latest(name)
        other = b if b is not None else newest.number if newest else 1
        return Response(parts.stored.diff(name, a, other), media_type="text/plain; charset=utf-8")

    @routes.post("/{name}/rollback", dependencies=gate("operate"), summary="Go back to an earlier version")
    def roll_back(name: str, body: RollBackIn, wait: Wait = 30.0) -> EditedOut:
        """Stores it again, as a new version."""
        return _edited(parts.edits.roll_back(name, body.version, BY, wait=wait or None))

    @routes.post(
        "/{name}/validate",
        dependencies=gate("read", "operate"),
        summary="Check a definition without storing it",
        openapi_extra={"requestBody": {"content": {"application/json": {}, "application/yaml": {}}}},
    )
    async def validate(name: str, request: Request) -> CheckedOut:
        """Answers 422 with every fault, each with its place and the cure."""
        raw = await _body(request)
        definition, warnings = await run_in_threadpool(parts.edits.check, name, raw)
        return CheckedOut(
            name=name,
            version=definition.version,
            processors=[step.name for step in definition.steps],
            warnings=_faults(warnings),
        )

    return routes


async def _body(request: Request) -> Any:
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MOST_BYTES:
            raise Problem(413, "too_large", f"A definition has at most {MOST_BYTES // 1024} KiB.")
    kind = "yaml" if "yaml" in request.headers.get("content-type", "") else "json"
    try:
        return parse_text(f"body.{kind}", raw.decode())
    except UnicodeDecodeError:
        raise Problem(400, "not_utf8", "The body is no UTF-8 text.") from None


def _now(parts: _Parts, name: str) -> tuple[dict[str, Any], str]:
    """The definition as it stands, the broken ones too (somebody wants to mend them), and its version."""
    found = parts.edits.current.refresh()
    if name in found.pipelines and name not in found.fallen_back:
        definition = found.pipelines[name]
        return dict(definition.raw), definition.version
    if name in found.broken and (kept := parts.stored.get(name)) is not None:
        return kept, "broken"
    if name in found.broken:
        raise Problem(409, "broken", f"pipeline {name!r} cannot be read: {found.broken[name]}")
    raise Problem(404, "not_found", f"there is no pipeline {name!r}")


def _base(parts: _Parts, name: str, if_match: str | None, if_none_match: str | None) -> tuple[int | None, bool]:
    """The number of the version that a change is based on, as its conditions say, and whether there is one now."""
    newest = parts.stored.latest(name)
    there = newest is not None and newest.source == "stored"
    number = newest.number if newest is not None else 0
    if if_none_match is not None and if_none_match.strip() == "*":
        if there:
            raise Problem(412, "exists", f"There is a pipeline {name!r} already.")
        return number, there
    if if_match is not None and if_match.strip() != "*":
        tags = {tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")}
        if newest is None or not there or newest.version not in tags:
            raise Problem(412, "changed", f"Pipeline {name!r} changed since it was read: GET it again.")
        return number, there
    return None, there


def _pipeline(name: str, found: Catalogue, loaded: dict[str, str] | None) -> PipelineOut:
    definition = found.pipelines.get(name)
    return PipelineOut(
        name=name,
        version=definition.version if definition else None,
        source=found.stands_in[name],
        label=definition.options.label if definition else "",
        processors=[step.name for step in definition.steps] if definition else [],
        lane=definition.options.lane if definition else None,
        live=None if loaded is None else definition is not None and loaded.get(name) == definition.version,
        loaded=(loaded or {}).get(name),
        fault=found.broken.get(name),
        fallen_back=name in found.fallen_back,
        warnings=list(found.warnings.get(name, ())),
    )


def _version(version: Version) -> VersionOut:
    return VersionOut(
        number=version.number,
        version=version.version,
        at=datetime.fromtimestamp(version.at, UTC),
        by=version.by,
        source=version.source,
        note=version.note,
    )


def _edited(edited: Edited) -> EditedOut:
    live: Live | None = edited.live
    return EditedOut(
        name=edited.name,
        number=edited.version.number,
        version=edited.version.version,
        live=live.live if live else None,
        state=live.state if live else "stored",
        message=live.message if live else "stored; goes live at the next reload or start",
        warnings=_faults(edited.warnings),
    )


def _faults(faults: tuple[DefinitionFault, ...]) -> list[FaultOut]:
    return [FaultOut(pointer=each.pointer, message=each.message) for each in faults]

"""``/vcon``: documents in and out, asked by jq and JSONPath."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from vcon_platform.access.caller import Caller
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.parts import Parts, removed, source_of, take_in, written
from vcon_platform.api.problems import Problem
from vcon_platform.api.py_vcon.faults import fault, no_vcon
from vcon_platform.api.py_vcon.forms import ADAPTER, Asked, version_for
from vcon_platform.api.quick import NoParameters
from vcon_platform.api.visibility import must_see
from vcon_platform.jq_child import JqError, shared_child
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.connection import explained
from vcon_platform.store.documents import Missing
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.export import export
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.gates import canonical_uuid

MOST_OUTPUTS = 100_000


class GetAsked(BaseModel):
    """How a document is to be given."""

    version: Asked = Field("posted", description="'posted': as it was posted; else this version.")


def router(settings: Settings, gate: Gate, parts: Parts) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/vcon", tags=["vCon: Storage CRUD"])

    async def take(request: Request, who: Caller, _asked: NoParameters, _: str = "") -> Response:
        who.need("ingest")
        try:
            await take_in(parts, request, source_of(settings, who, ADAPTER))
        except Rejected as error:
            raise _refused(error) from None
        return Response(status_code=204)

    async def give(_: Request, who: Caller, asked: GetAsked, vcon_uuid: str) -> Response:
        who.need("read")
        uuid = canonical_uuid(vcon_uuid)
        if uuid is None:
            raise no_vcon(vcon_uuid)
        try:
            found = await parts.found(who, uuid, meta=True)
        except Missing:
            raise no_vcon(vcon_uuid) from None
        if asked.version == "posted" and found.meta.get("form", "unsigned") != "unsigned":
            parts.reads.note(who, uuid)
            pieces = await run_in_threadpool(_as_posted, parts, uuid)
            if pieces is not None:
                return StreamingResponse(pieces, media_type="application/json")
        parts.reads.note(who, uuid)
        data = export(found.vcon.data, version_for(found.meta, asked.version))
        return await written(parts, data, "application/json", {})

    parts.quick.post("/vcon", take, NoParameters)
    parts.quick.get("/vcon", give, GetAsked)

    @routes.post("", dependencies=gate("ingest"), summary="Store a vCon", status_code=204)
    async def post(request: Request, who: WhoAsks) -> Response:
        """In any of the three forms and any version; a second one of the same uuid is a new revision."""
        return await take(request, who, NoParameters())

    @routes.get("/{vcon_uuid}", dependencies=gate("read"), summary="A vCon")
    async def get(request: Request, vcon_uuid: str, who: WhoAsks, asked: Annotated[GetAsked, Query()]) -> Response:
        """A signed or encrypted one as it was posted."""
        return await give(request, who, asked, vcon_uuid)

    @routes.delete("/{vcon_uuid}", dependencies=gate("erase"), summary="Remove a vCon", status_code=204)
    async def delete(vcon_uuid: str, who: WhoAsks) -> None:
        """The same answer for one that is not there."""
        uuid = canonical_uuid(vcon_uuid)
        if uuid is not None:
            with suppress(Missing):
                await removed(parts, who, uuid)

    @routes.get("/{vcon_uuid}/jq", dependencies=gate("read"), summary="Ask a vCon by jq")
    def jq(vcon_uuid: str, jq_transform: Annotated[str, Query(max_length=100_000)], who: WhoAsks) -> list[Any]:
        """Every output of the filter. A signed vCon is asked by its payload."""
        vcon, meta = seen(parts, who, vcon_uuid, peer=500)
        parts.reads.note(who, vcon.uuid)
        try:
            return shared_child().outputs(jq_transform, export(vcon.data, version_for(meta)), most=MOST_OUTPUTS)
        except JqError as error:
            raise fault(422, f"jq_transform: {error}", peer=500) from None

    @routes.get("/{vcon_uuid}/jsonpath", dependencies=gate("read"), summary="Ask a vCon by JSONPath")
    def jsonpath(vcon_uuid: str, path_string: Annotated[str, Query(max_length=10_000)], who: WhoAsks) -> Response:
        """Every match, by RedisJSON's rules."""
        import redis

        vcon, _ = seen(parts, who, vcon_uuid, peer=200)
        parts.reads.note(who, vcon.uuid)
        try:
            found = parts.store.client.execute_command("JSON.GET", keys.document(vcon.uuid), path_string)  # type: ignore[no-untyped-call]
        except redis.ResponseError:
            raise fault(422, "path_string is no JSONPath that RedisJSON understands", peer=500) from None
        return Response(found or b"[]", media_type="application/json")

    return routes


def seen(parts: Parts, who: Caller, given: str, *, peer: int = 404) -> tuple[Vcon, dict[str, str]]:
    """A vCon that this caller may see, with what is kept beside it. Raises Problem: 404."""
    uuid = canonical_uuid(given)
    if uuid is None:
        raise no_vcon(given, peer=peer)
    with explained():
        try:
            vcon = parts.store.documents.read_one(uuid)
            must_see(who, parts.store.documents, uuid, vcon)
        except Missing:
            raise no_vcon(given, peer=peer) from None
        return vcon, parts.store.documents.meta(uuid)


def _as_posted(parts: Parts, uuid: str) -> Iterator[bytes] | None:
    """Its bytes; None for gzip: the view is what its clients can read."""
    original = find_original(parts.store.documents, uuid)
    return None if original.apart else original_bytes(original, parts.store.media)


def _refused(error: Rejected) -> Problem:
    """The framework's form of an error, which its clients print."""
    if any(each.code == "uuid_required" for each in error.faults):
        return fault(422, "vCon UUID: not set")
    places: list[dict[str, Any]] = [
        {"type": each.code, "loc": ["body", *filter(None, each.pointer.split("/"))], "msg": each.message}
        for each in error.faults
    ]
    problem = fault(error.status, orjson.dumps(places).decode())
    problem.extra["places"] = places
    return problem

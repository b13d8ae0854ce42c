"""``/api``: the conserver's REST API, for its clients as they are: its paths, parameters, status codes and bodies.

Its lists are our queues: what a client posts to an ingress list enters the queue of that name, what it pops from an
egress list has gone through a pipeline whose ``success_queue`` has that name.

Where it differs from the conserver on purpose: nothing is overwritten (a second document of one uuid is a new
revision); a posted document comes back as it is, with no nulls that nobody wrote; an egress list is first in, first
out; search means *and*; ``/vcon/count`` answers; ``/config`` is read-only and names no secret; depths and failed jobs
are told of known lists only.

Belongs here: that contract. Not here: what any of it does (the store, ``pipelines/queueing.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import batched
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from vcon_platform import __version__
from vcon_platform.access.caller import Caller
from vcon_platform.api import conserver_storage
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.conserver_config import config_of
from vcon_platform.api.health import TIMEOUT
from vcon_platform.api.parts import Parts, need_ingest, removed, source_of, take_in, written
from vcon_platform.api.problems import Problem
from vcon_platform.api.quick import NoParameters
from vcon_platform.api.vcons_search import moment
from vcon_platform.api.visibility import must_see
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.pipelines.queueing import QueueDesk, UnknownQueue
from vcon_platform.services.redis import why_redis_not_ready
from vcon_platform.settings import Settings
from vcon_platform.store.connection import explained
from vcon_platform.store.documents import Missing
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.listing import Listing
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.search_query import SearchQuery
from vcon_platform.store.search_refresh import everything
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.export import export
from vcon_platform.vcon.gates import canonical_uuid

PREFIX = "/api"
ADAPTER = "conserver"
"""The name under which this API takes documents in."""
_ALL = 1000
"""Page size while all are gathered."""
_MOST = 10_000
"""vCons in one answer, where the conserver has no bound."""
_VERSION = {"X-Vcon-Server-Version": __version__, "X-Vcon-Server-Commit": "unknown"}

ListName = Annotated[str, Query(max_length=100)]


class PostAsked(BaseModel):
    """How a document is to be taken in."""

    ingress_lists: list[str] = Field([], description="Lists that it enters; repeated, or with commas.")


def router(settings: Settings, gate: Gate, parts: Parts) -> APIRouter:
    """The routes. ``gate`` guards each but the health page."""
    routes = APIRouter(prefix=PREFIX, tags=["Conserver"], dependencies=[Depends(_told_version)])
    desks: list[QueueDesk] = []

    async def take(request: Request, who: Caller, asked: PostAsked, _: str = "") -> Response:
        queues = _names(asked.ingress_lists)
        need_ingest(who, queues)
        answer = await take_in(parts, request, source_of(settings, who, ADAPTER, queues))
        return await _whole(settings, parts, await parts.kept(who, answer), 201)

    async def give(_: Request, who: Caller, _asked: NoParameters, vcon_uuid: str) -> Response:
        who.need("read")
        uuid = canonical_uuid(vcon_uuid)
        if uuid is None:
            raise Problem(422, "bad_uuid", "vcon_uuid is no uuid")
        try:
            found = await parts.found(who, uuid)
        except Missing:
            raise Problem(404, "not_found", "vCon not found") from None
        parts.reads.note(who, uuid)
        return await _whole(settings, parts, found.vcon, 200)

    parts.quick.post(f"{PREFIX}/vcon", take, PostAsked)
    parts.quick.get(f"{PREFIX}/vcon", give, NoParameters)

    def desk() -> QueueDesk:
        if not desks:
            client = parts.store.client
            catalogue = CurrentCatalogue(settings, client)
            desks.append(QueueDesk(Queues(client), parts.store.documents, catalogue.get, by="conserver-api"))
        return desks[0]

    @contextmanager
    def known(name: str) -> Iterator[QueueDesk]:
        with explained():
            found = desk()
            try:
                found.one(name)
            except UnknownQueue as error:
                raise Problem(404, "not_found", str(error)) from None
            yield found

    # --- about the server -----------------------------------------------------------------------------------------

    @routes.get("/version", dependencies=gate(), summary="The version")
    def version() -> dict[str, str]:
        return _about()

    @routes.get("/health", summary="Whether it can work")
    def health(response: Response) -> dict[str, Any]:
        """The conserver's is static; this one asks Redis."""
        reason = why_redis_not_ready(settings.redis_url(), timeout=TIMEOUT)
        response.status_code = 200 if reason is None else 503
        return {"status": "healthy" if reason is None else "unhealthy", "version": _about()}

    @routes.get("/stats/queue", dependencies=gate(), summary="How many wait in a list")
    def stats(list_name: ListName, who: WhoAsks) -> dict[str, Any]:
        """0 for a list that nothing ever entered."""
        who.need("read", "operate", f"ingest:{list_name}")
        found = desk()
        with explained():
            return {"list_name": list_name, "depth": found.queues.depth(list_name) if list_name in found.names() else 0}

    # --- vCons ----------------------------------------------------------------------------------------------------

    @routes.get("/vcon", dependencies=gate("read"), summary="Uuids, newest first")
    def uuids(
        who: WhoAsks,
        page: Annotated[int, Query(ge=1)] = 1,
        size: Annotated[int, Query(ge=-1, le=_MOST, description="-1: all, up to 10,000.")] = 50,
        since: str | None = None,
        until: str | None = None,
    ) -> list[str]:
        begin, end = moment("since", since), moment("until", until)
        wanted = _MOST if size == -1 else size
        skip = 0 if size == -1 else (page - 1) * size
        if wanted == 0:
            return []
        if not who.visible.everything:
            query = SearchQuery(created_from=begin, created_to=end, limit=_ALL)
            return list(_found(parts, who, query, skip + wanted))[skip:]
        listing = Listing(parts.store.client)
        found: list[str] = []
        cursor: str | None = None
        while len(found) < wanted:
            asked = min(_ALL, wanted - len(found))
            told = listing.page(
                created_from=begin, created_to=end, limit=asked, cursor=cursor, skip=0 if cursor else skip
            )
            found += told.uuids
            if (cursor := told.cursor) is None:
                break
        return found

    @routes.post("/vcon", dependencies=gate(), summary="Take a vCon in", status_code=201)
    async def post(request: Request, who: WhoAsks, asked: Annotated[PostAsked, Query()]) -> Response:
        """Its answer is the vCon as it is stored."""
        return await take(request, who, asked)

    @routes.get("/vcon/egress", dependencies=gate(), summary="Take uuids out of a list")
    def egress(egress_list: ListName, who: WhoAsks, limit: Annotated[int, Query(ge=1, le=_ALL)] = 1) -> list[str]:
        """First in, first out; nobody else gets them."""
        return _popped(who, egress_list, limit)

    @routes.post("/vcon/egress", dependencies=gate(), summary="Take uuids out of a list")
    def egress_by_post(
        egress_list: ListName, who: WhoAsks, limit: Annotated[int, Query(ge=1, le=_ALL)] = 1
    ) -> list[str]:
        """The same; a GET should not change anything."""
        return _popped(who, egress_list, limit)

    def _popped(who: Caller, name: str, limit: int) -> list[str]:
        who.need("operate", "read")
        with explained():
            found = desk()
            if name not in found.names():
                return []
            waiting = found.queues.jobs(name, 0, limit)
            taken = {job.id: job for job in found.withdraw(name, [job.id for job in waiting])}
        return [uuid for job in waiting if job.id in taken for uuid in job.vcon_uuids]

    @routes.post("/vcon/ingress", dependencies=gate(), summary="Put uuids into a list", status_code=204)
    def ingress(who: WhoAsks, ingress_list: ListName, body: Annotated[list[str], Body(max_length=_MOST)]) -> None:
        """Unknown uuids are passed over."""
        who.need(f"ingest:{ingress_list}")
        with explained():
            found = desk()
            found.check([ingress_list])
            given = [uuid for each in body if (uuid := canonical_uuid(each)) is not None]
            stored = parts.store.documents.known(given)
            found.push(ingress_list, [new_job(uuid) for uuid in given if uuid in stored])

    @routes.get("/vcon/count", dependencies=gate(), summary="How many wait in a list")
    def count(egress_list: ListName, who: WhoAsks) -> int:
        who.need("read", "operate")
        with explained():
            found = desk()
            return found.queues.depth(egress_list) if egress_list in found.names() else 0

    @routes.post(
        "/vcon/external-ingress", dependencies=gate(), summary="Take a vCon in, by a list's own key", status_code=204
    )
    async def external(request: Request, ingress_list: ListName, who: WhoAsks) -> None:
        """For partners: a key with the scope ``ingest:LIST`` and no other."""
        if not who.may(f"ingest:{ingress_list}"):
            raise Problem(403, "not_allowed", f"Invalid API Key for ingress list '{ingress_list}'")
        try:
            await take_in(parts, request, source_of(settings, who, ADAPTER, (ingress_list,)))
        except UnknownQueue:
            raise Problem(403, "not_allowed", f"Ingress list '{ingress_list}' not configured") from None

    @routes.get("/vcon/{vcon_uuid}", dependencies=gate("read"), summary="A vCon")
    async def one(request: Request, vcon_uuid: str, who: WhoAsks) -> Response:
        return await give(request, who, NoParameters(), vcon_uuid)

    @routes.delete("/vcon/{vcon_uuid}", dependencies=gate("erase"), summary="Remove a vCon", status_code=204)
    async def delete(vcon_uuid: str, who: WhoAsks) -> None:
        """The same answer for one that is not there."""
        uuid = canonical_uuid(vcon_uuid)
        if uuid is None:
            raise Problem(422, "bad_uuid", "vcon_uuid is no uuid")
        with suppress(Missing):
            await removed(parts, who, uuid)

    @routes.get("/vcons", dependencies=gate("read"), summary="Several vCons")
    def several(
        who: WhoAsks, vcon_uuids: Annotated[list[str], Query(min_length=1, max_length=_ALL)]
    ) -> StreamingResponse:
        """In the order in which they were asked for; null for one that is not here."""
        asked = [canonical_uuid(each) for each in vcon_uuids]

        def pieces() -> Iterator[bytes]:
            yield b"["
            for first, some in enumerate(batched(asked, 50)):
                documents = _read(who, [uuid for uuid in some if uuid is not None])
                for place, uuid in enumerate(some):
                    yield b"," if first or place else b""
                    vcon = documents.get(uuid) if uuid is not None else None
                    if vcon is None:
                        yield b"null"
                    else:
                        yield from write_document(parts.store.media, _form(settings, vcon))
            yield b"]"

        return StreamingResponse(pieces(), media_type="application/json", headers=_VERSION)

    def _read(who: Caller, uuids: list[str]) -> dict[str, Vcon]:
        found = parts.store.documents.read(uuids)
        for uuid, vcon in list(found.items()):
            try:
                must_see(who, parts.store.documents, uuid, vcon)
            except Missing:
                del found[uuid]
        parts.reads.note_all(who, found, "document")
        return found

    @routes.get("/vcons/search", dependencies=gate("read"), summary="Find vCons by a party")
    def search(
        who: WhoAsks,
        tel: Annotated[str | None, Query(max_length=1000)] = None,
        mailto: Annotated[str | None, Query(max_length=1000)] = None,
        name: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> list[str]:
        """All of what is given must be true. Numbers are found in any spelling."""
        if not (tel or mailto or name):
            raise Problem(400, "nothing_asked", "At least one search parameter must be provided")
        query = SearchQuery(tel=tel or None, mailto=mailto or None, name=name or None, limit=_ALL)
        return list(_found(parts, who, query, _MOST))

    # --- what failed ----------------------------------------------------------------------------------------------

    @routes.get("/dlq", dependencies=gate("read", "operate"), summary="vCons that failed, oldest first")
    def dead(ingress_list: ListName) -> list[str]:
        with known(ingress_list) as found:
            return [uuid for each in found.dead(ingress_list, 0, _MOST) for uuid in each.job.vcon_uuids]

    @routes.post("/dlq/reprocess", dependencies=gate("operate"), summary="Let failed vCons begin again")
    def reprocess(ingress_list: ListName, count: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> int:
        with known(ingress_list) as found:
            chosen = [each.job.id for each in found.dead(ingress_list, 0, count)]
            return len(found.redrive(ingress_list, chosen)) if chosen else 0

    conserver_storage.add(routes, gate, parts)

    # --- administration -------------------------------------------------------------------------------------------

    @routes.get("/config", dependencies=gate("operate"), summary="The pipelines as the conserver would write them")
    def config() -> dict[str, Any]:
        """Read-only, and without any secret."""
        with explained():
            return config_of(CurrentCatalogue(settings, parts.store.client).get())

    @routes.post("/config", dependencies=gate("admin"), summary="Refused", include_in_schema=False)
    def no_config() -> None:
        told = "The configuration is not changed this way: use /v1/pipelines or 'vcon-platform pipelines'"
        raise Problem(405, "read_only", told, headers={"Allow": "GET"})

    @routes.get("/index_vcons", dependencies=gate("operate"), summary="Work the search index out anew")
    def index() -> int:
        """How many vCons can be found."""
        store = parts.store
        store.index.ensure()
        return store.index.reindex(store.documents.read, everything(store.client)).written

    routes.post("/index_vcons", dependencies=gate("operate"), summary="Work the search index out anew")(index)
    return routes


def _told_version(response: Response) -> None:
    response.headers.update(_VERSION)


def _about() -> dict[str, str]:
    return {"version": __version__, "git_commit": "unknown", "build_time": "unknown"}


def _names(given: list[str]) -> tuple[str, ...]:
    """Adapters in the wild join lists by commas; the conserver takes that for one list's name."""
    return tuple(dict.fromkeys(name.strip() for each in given for name in each.split(",") if name.strip()))


def _form(settings: Settings, vcon: Vcon) -> dict[str, Any]:
    return export(vcon.data, "conserver" if settings.egress_format == "0.0.1" else "0.4.0")


async def _whole(settings: Settings, parts: Parts, vcon: Vcon, status: int) -> Response:
    return await written(parts, _form(settings, vcon), "application/json", _VERSION, status=status)


def _found(parts: Parts, who: Caller, query: SearchQuery, most: int) -> Iterator[str]:
    """The uuids that fit and that this caller may see, newest first."""
    query = replace(query, adapters=who.visible.adapters, tags=who.visible.tags)
    told = 0
    while told < most:
        page = parts.store.index.search(query)
        yield from page.uuids[: most - told]
        told += len(page.uuids)
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)

"""``GET /v1/events``: what becomes of vCons, as it happens, for whoever waits (server-sent events).

Belongs here: Redis' channels as a stream of events. Not here: who publishes (the scripts of ``store/``).

A channel remembers nothing: who was not connected has missed what happened meanwhile, and asks ``GET /v1/vcons`` or the
ledger. An event says which vCon and what, never what is in it. One connection to Redis serves a stream; a stream that
its reader does not read is ended rather than kept in memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from vcon_platform.access.caller import Caller
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.problems import Problem
from vcon_platform.api.visibility import must_see
from vcon_platform.settings import Settings
from vcon_platform.store.documents import Missing
from vcon_platform.store.opening import Store

if TYPE_CHECKING:
    from redis.asyncio import Redis

STREAMS = 100
"""At once, in one API process."""
QUIET = 15.0
"""Seconds without an event after which a line is sent that says nothing, so that nobody in between hangs up."""
_KINDS = ("done", "filtered", "failed")
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def router(settings: Settings, store: Callable[[], Store], gate: Gate, quiet: float = QUIET) -> APIRouter:
    """The route. ``gate`` guards it. ``quiet``: see :data:`QUIET`."""
    routes = APIRouter(prefix="/v1", tags=["Events"])
    room = threading.BoundedSemaphore(STREAMS)

    @routes.get(
        "/events",
        dependencies=gate("read"),
        summary="What becomes of vCons, as it happens",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "Too many streams"}},
    )
    async def events(
        request: Request,
        who: WhoAsks,
        pipeline: Annotated[list[str] | None, Query(description="Of these pipelines only; may be repeated.")] = None,
        uuid: Annotated[list[str] | None, Query(description="Of these vCons only; may be repeated.")] = None,
        seconds: Annotated[float | None, Query(ge=0, description="How long; unset: until you hang up.")] = None,
    ) -> StreamingResponse:
        """``event: done`` (or ``filtered``, ``failed``) with ``data: {"uuid", "pipeline"}`` when a vCon has been
        through a pipeline; ``event: created`` when one was taken in. It begins with a comment once it listens: what
        happens after that is told."""
        if not room.acquire(blocking=False):
            raise Problem(503, "busy", f"{STREAMS} streams are open in this process; come again.")
        wanted = frozenset(each.lower() for each in uuid or ())
        stream = _Stream(settings.redis_url(), tuple(pipeline or ()), wanted, quiet, seconds)

        async def lines() -> AsyncIterator[bytes]:
            try:
                async for event, data in stream.events(request):
                    if event is None:
                        yield b": \n\n"
                    elif await _shown(store, who, str(data["uuid"])):
                        yield b"event: " + event.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
            finally:
                room.release()

        return StreamingResponse(lines(), media_type="text/event-stream", headers=_STREAM)

    return routes


async def _shown(store: Callable[[], Store], who: Caller, uuid: str) -> bool:
    if who.visible.everything:
        return True
    try:
        await run_in_threadpool(must_see, who, store().documents, uuid)
    except Missing:
        return False
    return True


class _Stream:
    """Listens to the channels of some pipelines, or of all."""

    def __init__(
        self, redis_url: str, pipelines: tuple[str, ...], uuids: frozenset[str], quiet: float, seconds: float | None
    ) -> None:
        self._url = redis_url
        self._pipelines = pipelines
        self._uuids = uuids
        self._quiet = quiet
        self._seconds = seconds if seconds is not None else float("inf")

    async def events(self, request: Request) -> AsyncIterator[tuple[str | None, dict[str, Any]]]:
        """(event, data); None for the event: nothing happened for a while, or it has begun to listen."""
        import redis.asyncio

        client: Redis = redis.asyncio.Redis.from_url(self._url)
        async with client, client.pubsub(ignore_subscribe_messages=True) as channels:
            if self._pipelines:
                await channels.subscribe(*(f"pipeline:{name}:{kind}" for name in self._pipelines for kind in _KINDS))
            else:
                await channels.subscribe("vcon:created")
                await channels.psubscribe(*(f"pipeline:*:{kind}" for kind in _KINDS))
            yield None, {}
            clock = asyncio.get_running_loop().time
            began = said = clock()
            while clock() - began < self._seconds and not await request.is_disconnected():
                message = await channels.get_message(timeout=min(1.0, self._seconds))
                now = clock()
                found = self._read(message) if message is not None else None
                if found is not None:
                    said = now
                    yield found
                elif now - said >= self._quiet:
                    said = now
                    yield None, {}

    def _read(self, message: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if message.get("type") not in ("message", "pmessage"):
            return None
        uuid = message["data"].decode(errors="replace")
        if self._uuids and uuid not in self._uuids:
            return None
        channel = message["channel"].decode()
        if channel == "vcon:created":
            return "created", {"uuid": uuid}
        _, pipeline, kind = channel.split(":", 2)
        return kind, {"uuid": uuid, "pipeline": pipeline}

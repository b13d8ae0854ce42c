"""``Idempotency-Key``: a request that comes again with the same key is carried out once, and answered the same.

A middleware around the routes that take a vCon in and that run pipelines and processors. Each caller's keys are their
own, and are kept for a day. The answer's last byte leaves when the answer is kept. What failed for a passing reason is
not kept: the key may be used again.

Where a process dies in between, the next request with the key goes on in its place: the same bytes taken in again are
known, and a run that came true has left a mark in the script that made it so. Then only what became of it is told.

Belongs here: what is the same request, and its answer. Not here: the records (``store/once.py``).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vcon_platform.api.problems import Problem, problem
from vcon_platform.errors import PlatformError
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.once import LEASE_SECONDS, Claimed, OnceStore
from vcon_platform.vcon.uuids import new_uuid

HEADER = b"idempotency-key"
REPLAYED = "Idempotent-Replayed"
LARGEST_ANSWER = 8 << 20
"""Bytes of an answer that is kept."""
_ROUTES = re.compile(r"/v1/(?:vcons|pipelines/[^/]+/run(?:/[^/]+)?|processors/[^/]+/run/[^/]+)")
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
_PASSING = frozenset({408, 409, 425, 429})
"""Answers that another time may be others; so are those from 500 on."""
_SPOOLED = 1 << 20
_PIECE = 1 << 16


class Idempotent:
    """The middleware. ``once`` gives the records when a request needs them; ``spool_dir``: where large bodies wait."""

    def __init__(self, app: ASGIApp, once: Callable[[], OnceStore], spool_dir: Path) -> None:
        self._app = app
        self._once = once
        self._spool_dir = spool_dir

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer it as it was answered before."""
        given = _given(scope)
        if given is None:
            await self._app(scope, receive, send)
            return
        try:
            found = _KEY.fullmatch(given)
            if found is None:
                raise Problem(
                    422, "bad_idempotency_key", "Idempotency-Key: 1 to 255 visible characters, such as a uuid."
                )
            if _ROUTES.fullmatch(scope["path"]) is None:
                raise Problem(
                    422, "no_idempotency_key", "This request takes no Idempotency-Key: send it without one."
                )  # fmt: skip
            await self._handle(scope, receive, send, found[1])
        except PlatformError as error:
            await problem(error, scope["path"])(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, key: str) -> None:
        request = Request(scope)
        name = hashlib.sha256(f"{request.state.caller.id}\0{key}".encode()).hexdigest()
        self._spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with SpooledTemporaryFile(max_size=_SPOOLED, dir=str(self._spool_dir)) as body:
            fingerprint = await _kept(request, receive, body)
            owner, once = new_uuid(), await run_in_threadpool(self._once)
            claim = await run_in_threadpool(once.claim, name, fingerprint, owner)
            match claim.what:
                case Claimed.OTHER:
                    told = "This Idempotency-Key was used for another request; take a new one."
                    raise Problem(422, "idempotency_key_reused", told)
                case Claimed.BUSY:
                    told = "The request with this Idempotency-Key is being carried out; ask again."
                    raise Problem(409, "idempotency_key_in_use", told, headers={"Retry-After": "5"})
                case Claimed.DONE:
                    answer = Response(claim.body, claim.status, {**orjson.loads(claim.headers), REPLAYED: "true"})
                    await answer(scope, receive, send)
                case _:
                    work = _Work(once, name, owner, fingerprint)
                    if claim.mark:
                        await work.tell(scope, receive, send, claim.mark)
                    else:
                        scope["state"]["once"] = name
                        await work.carry_out(self._app, scope, _Again(body, receive), send)


class _Work:
    """A request that is carried out by this process."""

    def __init__(self, once: OnceStore, name: str, owner: str, fingerprint: str) -> None:
        self._once = once
        self._name = name
        self._owner = owner
        self._fingerprint = fingerprint
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._ended = False

    async def carry_out(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                if len(self._body) <= LARGEST_ANSWER:
                    self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    await self._keep()
            await send(message)

        async with self._held():
            try:
                await app(scope, receive, watched)
            finally:
                if not self._ended:
                    with suppress(StoreUnavailable):  # then the claim ends by itself
                        await run_in_threadpool(self._once.forget, self._name, self._owner)

    async def tell(self, scope: Scope, receive: Receive, send: Send, mark: bytes) -> None:
        """What became of a run whose answer was lost with its process."""
        answer = Response(orjson.dumps({"run": orjson.loads(mark), "answer_lost": True}), media_type="application/json")
        await self.carry_out(answer, scope, receive, send)

    async def _keep(self) -> None:
        self._ended = True
        if self._status >= 500 or self._status in _PASSING:
            await run_in_threadpool(self._once.forget, self._name, self._owner)
            return
        status, headers, body = self._status, self._headers, bytes(self._body)
        if len(body) > LARGEST_ANSWER:
            told = "The request was carried out. Its answer was too long to be kept; read the vCon."
            kept = problem(Problem(410, "answer_not_kept", told), "/v1/")
            status, headers, body = kept.status_code, dict(kept.headers), bytes(kept.body)
        await run_in_threadpool(
            self._once.done, self._name, self._owner, status, orjson.dumps(headers), body
        )  # fmt: skip

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """The claim is prolonged as long as this lasts."""

        async def prolong() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 4)
                with suppress(StoreUnavailable):
                    await run_in_threadpool(self._once.claim, self._name, self._fingerprint, self._owner)

        task = asyncio.create_task(prolong())
        try:
            yield
        finally:
            task.cancel()


class _Again:
    """The body that was read, for whoever reads it now."""

    def __init__(self, body: IO[bytes], receive: Receive) -> None:
        self._body = body
        self._receive = receive
        self._left = True
        body.seek(0)

    async def __call__(self) -> Message:
        if not self._left:
            return await self._receive()
        piece = self._body.read(_PIECE)
        self._left = len(piece) == _PIECE
        return {"type": "http.request", "body": piece, "more_body": self._left}


def once_of(request: Request) -> str:
    """The request's name, for what must leave a mark when it is done; nothing for one without a key."""
    return str(getattr(request.state, "once", ""))


def _given(scope: Scope) -> str | None:
    """The key of a POST of /v1."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
        return None
    return next((str(value, "latin-1").strip() for name, value in scope["headers"] if name == HEADER), None)


async def _kept(request: Request, receive: Receive, body: IO[bytes]) -> str:
    """Read the body; a hash of it and of all that makes this request the one it is."""
    headers = [request.headers.get(name, "") for name in ("content-type", "if-match", "if-none-match")]
    digest = hashlib.sha256(orjson.dumps([request.url.path, request.url.query, headers]))
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        digest.update(piece)
        body.write(piece)
        more = message.get("more_body", False)
    return digest.hexdigest()

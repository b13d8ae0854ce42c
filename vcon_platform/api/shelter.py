"""What stands around every request: an id, limits on its body, headers that keep browsers out of trouble, and an answer
where a route fell over.

Belongs here: what is the same for all routes. Not here: who asks (``auth.py``), what an error of ours means
(``problems.py``).

A body is counted as it comes in, whatever its headers say, and must keep coming: a client that sends a byte now and
then would hold a connection for ever. What a route did not expect is answered with the request's id and nothing else;
the log has that id, the kind of error and the lines of code, and no text of the error: it may quote what people said.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Generator, Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vcon_platform.api.problems import Problem, problem
from vcon_platform.errors import trace_of

REQUEST_ID = "X-Request-Id"
PIECE_SECONDS = 30.0
"""Between two pieces of a body."""
SLOWEST = 1024
"""Bytes a second that a body must have had on the whole, after the first half minute."""
HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Where a route does not say otherwise."""
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)
_PAGES = ("/docs", "/redoc")
"""Pages for people, which load scripts."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_log = logging.getLogger(__name__)


class Shelter:
    """The middleware. ``body_bytes``: the largest body; routes may have lower limits of their own."""

    def __init__(
        self, app: ASGIApp, body_bytes: int, piece_seconds: float = PIECE_SECONDS, slowest: int = SLOWEST
    ) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._piece_seconds = piece_seconds
        self._slowest = slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def sheltered(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = list(message.get("headers", ()))
                given = {name for name, _ in headers}
                if scope["path"] in _PAGES:
                    given.add(b"content-security-policy")
                if given.isdisjoint(_NAMES):
                    headers += _RAW
                else:
                    headers += [(name, value) for name, value in _RAW if name not in given]
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        try:
            self._announced(scope)
            await self._app(scope, _Body(receive, self._body_bytes, self._piece_seconds, self._slowest), sheltered)
        except Problem as error:  # of the body, wherever it was read
            if begun:
                raise
            await problem(error, scope["path"])(scope, receive, sheltered)
        except ClientDisconnect:  # nobody is there to be answered
            _log.debug("request %s: %s %s: the client hung up", request_id, scope["method"], _route(scope))
        except Exception as error:
            _log.error("request %s: %s %s: %s", request_id, scope["method"], _route(scope), trace_of(error))
            if begun:
                raise ConnectionAbortedError from None  # the answer is cut off; its text says nothing
            told = Problem(500, "internal_error", f"Something went wrong here. The log has it as request {request_id}.")
            await problem(told, scope["path"])(scope, receive, sheltered)

    def _announced(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._body_bytes:
                raise _too_large(self._body_bytes)


class _Body:
    """A request's body, counted."""

    def __init__(self, receive: Receive, most: int, piece_seconds: float, slowest: int) -> None:
        self._receive = receive
        self._most = most
        self._piece_seconds = piece_seconds
        self._slowest = slowest
        self._size = 0
        self._complete = False
        self._began = asyncio.get_running_loop().time()

    async def __call__(self) -> Message:
        if self._complete:  # what comes now is that the client hung up: there is no hurry
            return await self._receive()
        # A small body is there already, as a rule. Asking for it then does not wait, and needs no clock: setting one
        # takes longer than all the rest of this.
        piece = self._receive().__await__()
        try:
            awaited = piece.send(None)
        except StopIteration as there:
            message: Message = there.value
        else:
            try:
                async with asyncio.timeout(self._piece_seconds):
                    message = await _Begun(piece, awaited)
            except TimeoutError:
                raise Problem(408, "too_slow", f"No piece of the body came for {self._piece_seconds:g} s.") from None
        if message["type"] == "http.request":
            self._complete = not message.get("more_body", False)
            self._size += len(message.get("body", b""))
            if self._size > self._most:
                raise _too_large(self._most)
            waited = asyncio.get_running_loop().time() - self._began
            if not self._complete and waited > self._piece_seconds and self._size < self._slowest * waited:
                raise Problem(408, "too_slow", f"The body came with less than {self._slowest} bytes a second.")
        return message


class _Begun:
    """What is waited for already: ``awaited`` is what ``piece`` asked the loop for."""

    def __init__(self, piece: Generator[Any, Any, Message], awaited: Any) -> None:
        self._piece = piece
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            while True:
                try:
                    yield self._awaited
                except GeneratorExit:
                    self._piece.close()
                    raise
                except BaseException as error:  # cancelled, or out of time: that is the piece's to hear
                    self._awaited = self._piece.throw(error)
                else:
                    self._awaited = self._piece.send(None)
        except StopIteration as there:
            return there.value  # type: ignore[no-any-return]


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "too_large", f"The body has more than {limit} bytes; raise VCON_DOCUMENT_BYTES or send less.",
        headers={"Connection": "close"},
    )  # fmt: skip


def _request_id(scope: Scope) -> str:
    """The client's own, if it can stand in a log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(given := str(value, "latin-1")):
            return given
    return f"{random.getrandbits(64):016x}"  # no secret; the system's would let another thread in


def _route(scope: Scope) -> str:
    """The path as the route has it: what stands in its parameters may be personal."""
    return str(getattr(scope.get("route"), "path", "an unknown path"))

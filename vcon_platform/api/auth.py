"""Who asks, and whether they may. Who asks is found out before anything of a request's body is read, by a middleware,
for every path but ``/health``: a stranger learns nothing, not even which paths there are. What a caller may do is asked
by a dependency of each route.

Belongs here: where a request carries its key, the answers 401, 403 and 429. Not here: which keys are good and what they
allow (the room ``access/``).

A key comes as ``Authorization: Bearer KEY``, in the conserver's header ``x-conserver-api-token``, or as the password of
HTTP Basic: so that a client that takes nothing but an address (``http://:KEY@host:port``) can be used as it is.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from vcon_platform.access.caller import Caller, NotKnown
from vcon_platform.access.gatekeeper import Gatekeeper
from vcon_platform.access.keys import KeyStore
from vcon_platform.access.limits import RateLimits, whole_seconds
from vcon_platform.access.tokens import Provider, Tokens
from vcon_platform.api.problems import Problem, problem
from vcon_platform.errors import PlatformError
from vcon_platform.services.files import ensure_secret
from vcon_platform.settings import Settings
from vcon_platform.store.connection import connect

CONSERVER_HEADER = "x-conserver-api-token"
_CONSERVER = CONSERVER_HEADER.encode()

SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, or a token of the identity provider that is configured.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A key as the password, for clients that take only an address.",
    },
    "conserver": {
        "type": "apiKey",
        "in": "header",
        "name": CONSERVER_HEADER,
        "description": "A key, as the conserver's clients send it.",
    },
}
"""What the OpenAPI document says of credentials: one of them is needed everywhere. Not dependencies of each route: they
would be built anew for every one, and looked at with every request."""


class Gate:
    """Lets requests through. ``gate("read")`` is a list of dependencies for a route: one of the scopes is needed."""

    def __init__(self, keeper: Gatekeeper, limits: RateLimits | None = None) -> None:
        self._keeper = keeper
        self._limits = limits or RateLimits()

    def __call__(self, *any_of: str) -> list[Any]:
        """Dependencies of a route that one of these scopes opens; none: any good key."""
        return [Depends(self.guard(*any_of))]

    def guard(self, *any_of: str) -> Callable[[Request], Awaitable[None]]:
        """The dependency itself."""

        async def check(request: Request) -> None:
            if any_of:
                caller_of(request).need(*any_of)

        return check

    async def caller(self, request: Request) -> Caller:
        """Who asks. Raises Problem: 401, 429."""
        credentials = _credentials(request)
        if credentials is None:
            raise Problem(
                401,
                "key_required",
                "Send the header 'Authorization: Bearer KEY'. 'vcon-platform keys create' makes keys; the "
                "administrator's is in the file secrets/api_key of the data folder.",
            )
        caller = self._keeper.remembered(credentials)
        if caller is None:
            try:
                caller = await run_in_threadpool(self._keeper.caller, credentials)
            except NotKnown as error:
                raise Problem(401, "key_refused", str(error)) from None
        if wait := self._limits.wait(caller.id, caller.rate):
            raise Problem(
                429,
                "too_many_requests",
                f"This key may make {caller.rate:g} requests per second; wait.",
                headers={"Retry-After": str(whole_seconds(wait))},
            )
        return caller


OPEN = frozenset({"/health", "/api/health"})
"""Paths that need no key."""


class KeyRequired:
    """The middleware."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request pass with its caller in ``request.state``, or answers in the application's place."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                scope.setdefault("state", {})["caller"] = await self._gate.caller(Request(scope))
            except PlatformError as error:
                await problem(error, scope["path"])(scope, receive, send)
                return
        elif scope["type"] == "websocket":  # there are none
            return
        await self._app(scope, receive, send)


def _credentials(request: Request) -> str | None:
    """The key or token that a request carries."""
    scheme, _, value = _header(request, b"authorization").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password or user or None
    return _header(request, _CONSERVER) or None


def _header(request: Request, name: bytes) -> str:
    """A header's value, empty where there is none. Every request passes here: ``request.headers`` takes four times as
    long."""
    for each, value in request.scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return ""


def caller_of(request: Request) -> Caller:
    """Who asks; the route has a gate before it."""
    return request.state.caller  # type: ignore[no-any-return]  # set by the gate


async def _who(request: Request) -> Caller:  # a function that is no coroutine would cost a thread's turn
    return caller_of(request)


WhoAsks = Annotated[Caller, Depends(_who)]
"""For a route that looks at who asks."""


def open_gate(settings: Settings) -> Gate:
    """The gate of an installation. The administrator's key is made at first start."""

    def keys() -> KeyStore:
        return KeyStore(connect(settings.redis_url()))

    tokens = None
    if settings.oidc_issuer:
        tokens = Tokens(
            Provider(
                settings.oidc_issuer,
                settings.oidc_audience,
                settings.oidc_jwks_url,
                settings.oidc_scope_claim,
                settings.oidc_scope_prefix,
            )
        )
    return Gate(Gatekeeper(ensure_secret(settings, "api_key"), keys, tokens))

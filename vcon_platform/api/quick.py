"""The few routes that most requests are for, past the framework: one vCon in, one vCon out.

FastAPI spends as much on finding a route and solving its dependencies as everything else costs that a vCon of 5 KB goes
through. So these are looked up by their path and called with what they need, inside the same middlewares as all others.
They stay routes of FastAPI too, which describe them, and which answer whatever does not look as it should.

Belongs here: that way past it. Not here: what the routes do; it is the same function in both cases.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from vcon_platform.access.caller import Caller
from vcon_platform.api.problems import problem
from vcon_platform.errors import PlatformError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type Handler[Asked: BaseModel] = Callable[[Request, Caller, Asked, str], Awaitable[Response]]


class NoParameters(BaseModel):
    """Of a route that has none."""


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
    handler: Handler[Any]
    asked: Callable[[bytes], BaseModel | None]


class QuickRoutes:
    """The routes. ``handler(request, who, asked, uuid)`` answers; ``asked`` are the query's parameters."""

    def __init__(self) -> None:
        self._posts: dict[str, _Route] = {}
        self._gets: dict[str, _Route] = {}

    def post[Asked: BaseModel](self, path: str, handler: Handler[Asked], asked: type[Asked]) -> None:
        """Serve POST to this path; the uuid is empty."""
        self._posts[path] = _Route(path, handler, _reader(asked))

    def get[Asked: BaseModel](self, path: str, handler: Handler[Asked], asked: type[Asked]) -> None:
        """Serve GET of this path with a uuid behind it."""
        self._gets[path] = _Route(f"{path}/{{uuid}}", handler, _reader(asked))

    def find(self, method: str, path: str) -> tuple[_Route, str] | None:
        """The route for a request, and the uuid in its path."""
        if method == "POST":
            route = self._posts.get(path)
            return None if route is None else (route, "")
        if method == "GET":
            before, _, last = path.rpartition("/")
            route = self._gets.get(before)
            return (route, last) if route is not None and _UUID.fullmatch(last) else None
        return None


class Quick:
    """The application that answers what :meth:`takes` found. ``compat``: as for problems."""

    def __init__(self, routes: QuickRoutes, compat: str = "") -> None:
        self._routes = routes
        self._compat = compat

    def takes(self, scope: Scope) -> bool:
        """Whether this request is for one of the routes; it is then written down in the scope."""
        found = self._routes.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        asked = found[0].asked(scope["query_string"]) if found is not None else None
        if found is None or asked is None:
            return False
        scope["route"], scope["quick"] = found[0], (asked, found[1])
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        route, (asked, uuid) = scope["route"], scope["quick"]
        request = _QuickRequest(scope, receive, send)
        try:
            response = await route.handler(request, request.state.caller, asked, uuid)
        except PlatformError as error:
            response = problem(error, scope["path"], compat=self._compat)
        await response(scope, receive, send)


class _QuickHeaders(Headers):
    """Looked up, where Starlette's are gone through each time; a name that comes twice has its first value there
    too."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._first = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower().encode("latin-1")].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        """As of any mapping."""
        value = self._first.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")


class _QuickRequest(Request):
    @property
    def headers(self) -> Headers:
        if not hasattr(self, "_headers"):
            self._headers: Headers = _QuickHeaders(self.scope)
        return self._headers


def _reader[Asked: BaseModel](model: type[Asked]) -> Callable[[bytes], Asked | None]:
    """Reads a query; None for one that FastAPI should look at. Clients send the same few over and over."""
    nothing = model()
    lists = {name for name, field in model.model_fields.items() if field.annotation == list[str]}

    @lru_cache(maxsize=256)
    def read(query: bytes) -> Asked | None:
        given = QueryParams(query)
        values = {name: given.getlist(name) if name in lists else given[name] for name in given}
        if any(name not in model.model_fields for name in values):
            return None
        try:
            return model.model_validate(values)
        except ValidationError:
            return None

    return lambda query: read(query) if query else nothing

"""The REST API's application: which routes there are and what every request shares.

Belongs here: putting the routers together. Does not belong here: what a route does (one module per area).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from vcon_platform import __version__
from vcon_platform.api import (
    bulk,
    conserver,
    events,
    health,
    pipeline_runs,
    pipelines,
    processors,
    py_vcon,
    queues,
    usage,
    vcons,
    vcons_search,
    vcons_views,
)
from vcon_platform.api.auth import Gate, KeyRequired, open_gate
from vcon_platform.api.idempotency import Idempotent
from vcon_platform.api.parts import Parts
from vcon_platform.api.problems import add_problems
from vcon_platform.api.quick import Quick
from vcon_platform.api.shelter import REQUEST_ID, Shelter
from vcon_platform.processors.registry import load_processors
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store.once import OnceStore

type _Middleware = Any  # a class whose first argument is the application that it stands around


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application for ``settings`` (default: read now). Nothing is connected until a request needs it. The
    API's key is made at first start, in the file ``secrets/api_key`` of the data folder."""
    chosen = settings or load_settings()
    gate = open_gate(chosen)
    parts = Parts(chosen)
    py_vcon_api = py_vcon.routers(chosen, gate, parts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        py_vcon_api.server.start()
        yield
        py_vcon_api.server.stop()
        await run_in_threadpool(parts.reads.flush)

    app = _Application(
        lifespan=lifespan,
        title="vcon-platform",
        version=__version__,
        summary="Conversations in, rows out.",
        description="vCons in and out. Every route but `/health` wants the header `Authorization: Bearer KEY`; the key "
        "is in the file `secrets/api_key` of the data folder. The interactive documentation is this page.",
    )
    add_problems(app, compat=chosen.compat)
    around = _around(chosen, gate, parts)
    for middleware, options in around:
        app.add_middleware(middleware, **options)
    app.let_past(Quick(parts.quick, chosen.compat), around)
    app.include_router(health.router(chosen))
    app.include_router(vcons_search.router(lambda: parts.store, gate))
    app.include_router(vcons.router(chosen, gate, parts))
    app.include_router(vcons_views.router(chosen, lambda: parts.store, gate, parts.reads))
    app.include_router(bulk.router(chosen, gate, parts))
    app.include_router(events.router(chosen, lambda: parts.store, gate))
    app.include_router(conserver.router(chosen, gate, parts))
    app.include_router(pipelines.router(chosen, gate))
    registry = load_processors()
    app.include_router(processors.router(gate, registry))
    processors.add_option_schemas(app, registry)
    app.include_router(queues.router(chosen, gate))
    app.include_router(pipeline_runs.router(chosen, gate))
    app.include_router(usage.router(chosen, gate))
    for each in py_vcon_api.routers:
        app.include_router(each)
    return app


class _Application(FastAPI):
    """FastAPI, and a way past it for the few routes that most requests are for."""

    _quick: Quick | None = None
    _past: ASGIApp

    def let_past(self, quick: Quick, around: Sequence[tuple[_Middleware, Mapping[str, Any]]]) -> None:
        """Let ``quick`` answer what it takes, with the same middlewares around it."""
        self._past = quick
        for middleware, options in around:
            self._past = middleware(self._past, **options)
        self._quick = quick

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._quick is not None and self._quick.takes(scope):
            await self._past(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _around(settings: Settings, gate: Gate, parts: Parts) -> list[tuple[_Middleware, Mapping[str, Any]]]:
    """What every request goes through, the innermost first."""
    cors = {
        "allow_origins": settings.cors_origins,
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "expose_headers": ["ETag", "Location", "Retry-After", REQUEST_ID],
    }
    return [
        (Idempotent, {"once": lambda: OnceStore(parts.store.client), "spool_dir": settings.spool_dir}),
        (KeyRequired, {"gate": gate}),
        *([(CORSMiddleware, cors)] if settings.cors_origins else []),
        (Shelter, {"body_bytes": settings.document_bytes}),
    ]

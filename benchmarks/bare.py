"""The handler that ``rest.py`` compares the REST API with: parses the body and does one JSON.SET, and promises nothing
else: no key, no check, no archive, no index, no ledger."""

from __future__ import annotations

import os

import orjson
import redis.asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def create_app() -> Starlette:
    """The application, on the Redis of ``REDIS_URL``."""
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], max_connections=1000)

    async def post(request: Request) -> Response:
        value = orjson.loads(await request.body())
        await client.execute_command("JSON.SET", f"plain:{value['uuid']}", "$", orjson.dumps(value))  # type: ignore[no-untyped-call]
        return Response(orjson.dumps({"uuid": value["uuid"]}), 201, media_type="application/json")

    async def get(request: Request) -> Response:
        found = await client.execute_command("JSON.GET", f"plain:{request.path_params['uuid']}")  # type: ignore[no-untyped-call]
        return Response(found, media_type="application/json")

    return Starlette(routes=[Route("/v1/vcons", post, methods=["POST"]), Route("/v1/vcons/{uuid}", get)])

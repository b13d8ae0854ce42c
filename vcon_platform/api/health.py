"""``/health``: can this installation work right now? For load balancers, supervisors and people; no key, no secrets.

Does not belong here: anything about conversations, or measuring over time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from functools import partial

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from vcon_platform.services.postgres import why_postgres_not_ready
from vcon_platform.services.redis import why_redis_not_ready
from vcon_platform.settings import Settings

#: Seconds a client of ``/health`` waits at most for each service's answer.
TIMEOUT = 2


class ServiceHealth(BaseModel):
    """One service's answer."""

    ok: bool
    ms: float = Field(title="Milliseconds", description="How long the answer took.")
    reason: str | None = Field(default=None, title="Reason", description="Why it is not ok.")


class Health(BaseModel):
    """All services' answers."""

    status: str = Field(title="Status", description="``ok``, or ``unavailable`` if any service is not ok.")
    services: dict[str, ServiceHealth]


def router(settings: Settings) -> APIRouter:
    """The route, for the services that ``settings`` names."""
    routes = APIRouter(tags=["health"])
    checks: dict[str, Callable[[], str | None]] = {
        "redis": lambda: why_redis_not_ready(settings.redis_url(), timeout=TIMEOUT),
        "postgres": lambda: why_postgres_not_ready(settings.postgres_url(), timeout=TIMEOUT),
    }
    # Two probes may hang on a dead network until the drivers give up; they must not eat the API's own threads.
    pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")

    @routes.head("/health", include_in_schema=False)
    @routes.get(
        "/health",
        summary="Are Redis and Postgres there?",
        responses={503: {"model": Health, "description": "A service is not usable"}},
    )
    def health(response: Response) -> Health:
        began = time.monotonic()
        pending = {name: pool.submit(partial(_measure, check)) for name, check in checks.items()}
        services = {}
        for name, future in pending.items():
            remaining = max(0.0, began + TIMEOUT + 0.5 - time.monotonic())
            try:
                services[name] = future.result(remaining)
            except NotInTime:
                future.cancel()
                services[name] = ServiceHealth(
                    ok=False, ms=1000 * (time.monotonic() - began), reason="no answer in time"
                )
        healthy = all(service.ok for service in services.values())
        response.status_code = 200 if healthy else 503
        response.headers["Cache-Control"] = "no-store"
        return Health(status="ok" if healthy else "unavailable", services=services)

    return routes


def _measure(check: Callable[[], str | None]) -> ServiceHealth:
    began = time.monotonic()
    try:
        reason = check()
    except Exception as error:  # whatever a driver raises is an answer here, and its text may name hosts or users
        reason = f"it cannot be asked ({type(error).__name__})"
    return ServiceHealth(ok=reason is None, ms=round(1000 * (time.monotonic() - began), 2), reason=reason)

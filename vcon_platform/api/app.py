"""The REST API's application: which routes there are and what every request shares.

Belongs here: putting the routers together. Does not belong here: what a route does (one module per area).
"""

from __future__ import annotations

from fastapi import FastAPI

from vcon_platform import __version__
from vcon_platform.api import health
from vcon_platform.settings import Settings, load_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application for ``settings`` (default: read now). Nothing is connected until a request needs it."""
    app = FastAPI(
        title="vcon-platform",
        version=__version__,
        summary="Conversations in, rows out.",
        description="So far: is this installation able to work? The interactive documentation is this page.",
    )
    app.include_router(health.router(settings or load_settings()))
    return app

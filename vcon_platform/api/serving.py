"""What uvicorn is told to serve: the application, in a process of its own.

Belongs here: what such a process is set to. Not here: the application (``app.py``), its command line
(``services/programs.py``).
"""

from __future__ import annotations

import gc

from fastapi import FastAPI

from vcon_platform.api.app import create_app

OBJECTS = 10_000
"""Objects that are made, net, before Python looks for cycles among them. A vCon of 5 KB is a few hundred dicts and
texts, and has none: with Python's 700 the search took 15 % of what it costs to take one in."""


def serve() -> FastAPI:
    """Make the application and leave what lives as long as the process out of the search for cycles."""
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 10, 10)
    return app

"""All of it put together."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from vcon_platform.api.auth import Gate
from vcon_platform.api.parts import Parts
from vcon_platform.api.py_vcon import pipelines, processing, queues, servers, vcons
from vcon_platform.api.py_vcon.results import Direct
from vcon_platform.api.py_vcon.servers import ThisServer
from vcon_platform.api.queues import desk_of
from vcon_platform.pipelines.workbench import Workbench
from vcon_platform.processors.registry import load_processors
from vcon_platform.services.direct_record import DirectRecord, reported_to
from vcon_platform.services.ports import LOOPBACK
from vcon_platform.settings import Settings


@dataclass(frozen=True, slots=True)
class PyVcon:
    """The routes, and the record of this process."""

    routers: tuple[APIRouter, ...]
    server: ThisServer


def routers(settings: Settings, gate: Gate, parts: Parts) -> PyVcon:
    """The routes of an installation. ``gate`` guards each."""
    direct = Direct(Workbench(settings), DirectRecord(reported_to(f"http://{LOOPBACK}:{settings.webserver_port}")))
    server = ThisServer(settings, parts)
    return PyVcon(
        (
            servers.router(settings, gate, parts, server),
            queues.router(gate, parts, desk_of(settings, lambda: parts.store)),
            pipelines.router(gate, direct),
            vcons.router(settings, gate, parts),
            processing.router(gate, direct, load_processors()),
        ),
        server,
    )

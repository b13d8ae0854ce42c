"""``/servers``, ``/server``: the platform's processes, and the queues that are worked on.

A server there is a process that polls queues. Here those are the REST API's own processes, which register themselves
and beat, Dagster's daemon, and the runs under way; each is told with the beat that is really known of it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any, cast

import orjson
from fastapi import APIRouter
from pydantic import BaseModel

from vcon_platform import __version__
from vcon_platform.api.auth import Gate
from vcon_platform.api.parts import Parts
from vcon_platform.api.py_vcon.faults import fault
from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.services.dagster_client import DagsterRefused
from vcon_platform.services.going_live import dagster_client
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.connection import explained
from vcon_platform.store.leases import Queues

LIBRARY = "0.6.0"
"""The version of the library whose documents are understood as its own."""
BEAT = 5.0
"""Seconds between two beats."""
STALE = 30.0
"""Seconds without a beat after which nobody knows whether a process lives."""


class QueueProperties(BaseModel):
    """How often a queue is served, in proportion to others."""

    weight: int = 1


class ThisServer:
    """The record of this process. It beats in a thread once it is started."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="server-beat", daemon=True)
        self.started = time.time()
        self.key = f"127.0.0.1:{settings.api_port}:{os.getpid()}:{self.started}"

    def state(self) -> dict[str, Any]:
        """As it is told and registered."""
        return {
            "py_vcon_server": __version__,
            "vcon": LIBRARY,
            "host": socket.gethostname(),
            "port": self._settings.api_port,
            "pid": os.getpid(),
            "start_time": self.started,
            "num_workers": 1,
            "state": "shutting_down" if self._stop.is_set() else "running",
            "last_heartbeat": time.time(),
            "settings": {"REST_URL": f"http://127.0.0.1:{self._settings.api_port}"},
        }

    def start(self) -> None:
        """Register, and beat until :meth:`stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Take the record away."""
        self._stop.set()
        self._thread.join(1)  # a last beat would bring the record back
        with suppress(PlatformError), explained():
            self._parts.store.client.hdel(keys.SERVERS, self.key)

    def _beat(self) -> None:
        while not self._stop.is_set():
            with suppress(PlatformError), explained():  # Redis is away: it will hear the next beat
                self._parts.store.client.hset(keys.SERVERS, self.key, orjson.dumps(self.state()))
            self._stop.wait(BEAT)


def router(settings: Settings, gate: Gate, parts: Parts, this: ThisServer) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(tags=["Admin: Servers"])
    catalogues: list[CurrentCatalogue] = []

    def weights() -> dict[str, int]:
        """Queue to weight, of the pipelines that are worked on."""
        if not catalogues:
            catalogues.append(CurrentCatalogue(settings, parts.store.client))
        client = parts.store.client
        chosen = cast("dict[bytes, bytes]", client.hgetall(keys.WEIGHTS))
        paused = Queues(client).paused()
        return {
            name: int(chosen.get(name.encode(), definition.options.weight))
            for name, definition in catalogues[0].get().pipelines.items()
            if name not in paused
        }

    @routes.get("/server/info", dependencies=gate("read", "operate"), summary="This process")
    def info() -> dict[str, Any]:
        return this.state()

    @routes.get("/server/queues", dependencies=gate("read", "operate"), summary="Queues that are worked on")
    def queues() -> dict[str, QueueProperties]:
        with explained():
            return {name: QueueProperties(weight=weight) for name, weight in weights().items()}

    @routes.post(
        "/server/queue/{name}", dependencies=gate("operate"), summary="Work on a queue, so often", status_code=204
    )
    def serve(name: str, properties: QueueProperties) -> None:
        """In place of its definition's weight, everywhere. 0 or less: nothing is taken from it until it is set anew."""
        keys.queue(name)
        client = parts.store.client
        with explained():
            if properties.weight <= 0:
                Queues(client).pause(name)
                return
            client.hset(keys.WEIGHTS, name, str(min(properties.weight, 1000)))
            Queues(client).resume(name)

    @routes.delete("/server/queue/{name}", dependencies=gate("operate"), summary="Let a queue be", status_code=204)
    def let_be(name: str) -> None:
        """Its jobs wait until it is worked on again."""
        with explained():
            if name not in weights():
                raise fault(404, f"queue: {name} not found")
            parts.store.client.hdel(keys.WEIGHTS, name)
            Queues(parts.store.client).pause(name)

    @routes.get("/servers", dependencies=gate("read", "operate"), summary="The platform's processes")
    def servers() -> dict[str, dict[str, Any]]:
        with explained():
            found = cast("dict[bytes, bytes]", parts.store.client.hgetall(keys.SERVERS))
            told = {this.key: this.state()}
            for key, raw in found.items():
                told.setdefault(key.decode(), _known(orjson.loads(raw)))
            return told | _daemon(settings) | _runs(parts)

    @routes.delete("/servers/{server_key}", dependencies=gate("operate"), summary="Drop a record", status_code=204)
    def drop(server_key: str) -> None:
        """Of a process that is no more. Its jobs come back by themselves when their lease ends."""
        with explained():
            if not parts.store.client.hdel(keys.SERVERS, server_key):
                raise fault(404, f"server state for: {server_key} not found")

    return routes


def _known(state: dict[str, Any]) -> dict[str, Any]:
    fresh = time.time() - float(state.get("last_heartbeat") or 0) < STALE
    return state if fresh else {**state, "state": "unknown"}


def _daemon(settings: Settings) -> dict[str, dict[str, Any]]:
    """Dagster's daemon, as its webserver knows it; nothing where that cannot be asked."""
    try:
        beat = dagster_client(settings, 3.0).daemon_beat()
    except (DagsterRefused, OSError):
        return {}
    return {} if beat is None else {"daemon": _process(settings.webserver_port, beat)}


def _process(port: int, beat: float) -> dict[str, Any]:
    return {
        "py_vcon_server": __version__,
        "vcon": LIBRARY,
        "host": socket.gethostname() if port else "",
        "port": port,
        "pid": 0,
        "start_time": 0.0,
        "num_workers": 1,
        "state": "running" if time.time() - beat < STALE else "unknown",
        "last_heartbeat": beat,
        "settings": {},
    }


def _runs(parts: Parts) -> dict[str, dict[str, Any]]:
    """The runs that hold a batch; their beat moves the end of the lease."""
    client = parts.store.client
    told: dict[str, dict[str, Any]] = {}
    for raw, until in cast("list[tuple[bytes, float]]", client.zrange(keys.LEASES, 0, -1, withscores=True)):
        owner = cast("bytes | None", client.hget(keys.batch(raw.decode()), "owner"))
        if owner is None:
            continue
        told[f"run:{owner.decode()}"] = _process(0, until / 1000 - parts.lease_seconds)
    return told

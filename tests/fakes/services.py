"""The wire of a paid HTTP service on this machine: what it is asked, and every way in which it may fail.

What a service answers when all is well is in a file of its own (``model_api.py``, ``deepgram.py``).
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``cut``: the connection ends in the middle of the body. ``silent``: there is none at all."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


@dataclass(slots=True)
class Service:
    """A running service. ``next``: answers that are given before ``well`` is asked again."""

    url: str
    well: Callable[[Asked], Answer]
    next: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def respond(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.next.popleft() if self.next else self.well(asked)


@contextlib.contextmanager
def service(well: Callable[[Asked], Answer]) -> Iterator[Service]:
    """Run one on 127.0.0.1 while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

        def do_POST(self) -> None:
            place = urlsplit(self.path)
            answer = fake.respond(
                Asked(
                    place.path,
                    parse_qs(place.query),
                    {k.lower(): v for k, v in self.headers.items()},
                    self._body(),
                    self.command,
                )
            )
            if answer.silent:
                fake.stopping.wait(30)
                self.close_connection = True
                return
            data = answer.data
            headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **answer.headers}
            with contextlib.suppress(OSError):  # a client that gave up
                self.send_response(answer.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if answer.cut else data)
            if answer.cut:
                self.close_connection = True

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the names that the server looks for

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    fake = Service(f"http://127.0.0.1:{server.server_address[1]}", well)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield fake
    finally:
        fake.stopping.set()
        server.shutdown()
        server.server_close()

"""What Dagster's webserver is asked to record."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support import free_port
from vcon_platform.services.dagster_client import DagsterRefused
from vcon_platform.services.direct_record import reported_to

Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def url(asked: Asked) -> Iterator[str]:
    """A webserver that takes every report."""

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", free_port()), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_pipelines_asset_is_materialised_with_the_counts(url: str, asked: Asked) -> None:
    reported_to(url)("recall", {"done": 2, "failed": 1})
    metadata = {"lane": "direct", "conversations": 3, "done": 2, "failed": 1}
    assert asked == [("/report_asset_materialization/pipelines/recall", {"metadata": metadata})]


def test_a_webserver_that_is_away_is_said_so() -> None:
    with pytest.raises(DagsterRefused, match="does not answer"):
        reported_to(f"http://127.0.0.1:{free_port()}")("recall", {"done": 1})

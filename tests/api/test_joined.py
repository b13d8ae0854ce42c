"""An answer's head and body leave in one write; a streamed answer's head does not wait for its body."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from vcon_platform.api.joined import JoinedProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


class Transport(asyncio.Transport):
    """Writes down what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def answered(application: Any, request: bytes = REQUEST, transport: Transport | None = None) -> Transport:
    """What leaves when this application is asked."""
    transport = transport or Transport()

    async def work() -> Transport:
        config = Config(application, http=JoinedProtocol, log_config=None, access_log=False)
        config.load()
        protocol = JoinedProtocol(config, ServerState(), {})
        protocol.connection_made(transport)
        protocol.data_received(request)
        async with asyncio.timeout(10):
            while protocol.cycle is None or not protocol.cycle.response_complete:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return transport

    return asyncio.run(work())


def whole(body: bytes, **headers: str) -> Any:
    """An application that answers with this body at once."""

    async def application(_: Any, receive: Any, send: Any) -> None:
        given = {"content-length": str(len(body)), **headers}
        raw = [(name.encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return application


def test_head_and_body_leave_in_one_write() -> None:
    [written] = answered(whole(b"hello")).written
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"hello"


@pytest.mark.parametrize("body", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 64 * 1024, b"x" * 300_000])
def test_what_leaves_is_head_and_body_whatever_the_body_is(body: bytes) -> None:
    assert b"".join(answered(whole(body)).written).partition(b"\r\n\r\n")[2] == body


def test_a_large_body_is_not_copied_behind_the_head() -> None:
    assert [len(each) for each in answered(whole(b"x" * 300_000)).written][1:] == [300_000]


def test_the_head_of_a_stream_leaves_before_there_is_a_body() -> None:
    transport, written = Transport(), list[bytes]()

    async def application(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        written.extend(transport.written)
        await send({"type": "http.response.body", "body": b"late"})

    answered(application, transport=transport)
    [head] = written
    assert head.endswith(b"\r\n\r\n")


def test_a_connection_that_is_to_be_closed_is_closed_behind_the_answer() -> None:
    transport = answered(whole(b"bye", connection="close"))
    assert transport.closed
    assert transport.written[-1].endswith(b"\r\n\r\nbye")


def test_two_requests_of_one_connection_are_answered_in_their_order() -> None:
    numbers = iter(range(2))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await whole(str(next(numbers)).encode())(scope, receive, send)

    transport = answered(application, REQUEST * 2)
    bodies = [each.partition(b"\r\n\r\n")[2] for each in transport.written]
    assert bodies == [b"0", b"1"]

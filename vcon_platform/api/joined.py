"""An answer's head and body leave together, in one write.

uvicorn writes them one after the other, and each write is a system call, a packet and a wake-up of whoever reads. For
answers of a few hundred bytes that is a tenth of what a request costs.

Belongs here: that. Not here: what is answered.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_MOST = 64 << 10
"""Bytes of a body that is copied behind the head; more is written by itself."""


class JoinedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, over a transport that holds an answer's head back until its body comes, or until the loop's
    next turn: where a body is streamed nobody waits for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client connected."""
        super().connection_made(cast("asyncio.Transport", _Joining(transport, self.loop)))


class _Joining:
    """A transport. What it does not do itself the real one does."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._head = transport, loop, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            if len(data) <= _MOST:
                data, self._head = self._head + data, b""
            else:
                self._flush()
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

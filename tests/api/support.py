"""What the tests of the API share."""

from __future__ import annotations

from fastapi import Request

from vcon_platform.access.caller import Caller
from vcon_platform.access.gatekeeper import Gatekeeper
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.auth import Gate


def _no_keys() -> KeyStore:
    raise AssertionError("a key was asked for")


class _NoGate(Gate):
    """Lets everybody do everything."""

    def __init__(self) -> None:
        super().__init__(Gatekeeper("", _no_keys))

    async def caller(self, request: Request) -> Caller:
        return Caller("test", "test", frozenset({"admin"}))


NO_GATE = _NoGate()

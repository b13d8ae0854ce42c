"""The gatekeeper: from what a request carries to who asks.

Three kinds of credentials: a key (``keys.py``), a token of the identity provider where one is set (``tokens.py``), and
the administrator's key of the first start, the file ``secrets/api_key`` of the data folder. That one is in nobody's
database, so that whoever owns the machine is never locked out; delete the file and restart to have another.

Belongs here: which kind it is, and remembering for two seconds what was found good, so that a busy client does not cost
a look into Redis each time. A key that was revoked is good for no longer than that.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from hashlib import sha256

from vcon_platform.access.caller import Caller, NotKnown
from vcon_platform.access.keys import KeyStore, looks_like_a_key
from vcon_platform.access.scopes import ADMIN
from vcon_platform.access.tokens import Tokens

REMEMBERED = 2.0
"""Seconds."""
_MOST = 1000
_ADMINISTRATOR = Caller("admin", "administrator", frozenset((ADMIN,)))


class Gatekeeper:
    """Tells who asks. Thread-safe. ``keys`` opens the keys when one is first asked for."""

    def __init__(
        self,
        admin_key: str,
        keys: Callable[[], KeyStore],
        tokens: Tokens | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin_key.encode()
        self._open = keys
        self._keys: KeyStore | None = None
        self._tokens = tokens
        self._clock = clock
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._lock = threading.Lock()

    def remembered(self, credentials: str) -> Caller | None:
        """Who it is, if that was found out a moment ago, or is the administrator. Asks nobody."""
        if hmac.compare_digest(credentials.encode(), self._admin):
            return _ADMINISTRATOR
        with self._lock:
            found = self._known.get(_name(credentials))
        return found[1] if found is not None and self._clock() - found[0] < REMEMBERED else None

    def caller(self, credentials: str) -> Caller:
        """Who it is. Raises :class:`NotKnown`, StoreUnavailable, ProviderUnavailable."""
        if (known := self.remembered(credentials)) is not None:
            return known
        found = self._asked(credentials)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[_name(credentials)] = (self._clock(), found)
        return found

    def _asked(self, credentials: str) -> Caller:
        if looks_like_a_key(credentials):
            self._keys = self._keys or self._open()
            key = self._keys.check(credentials)
            if key is None:
                raise NotKnown("This key is not known, has expired or was revoked; ask for a new one.")
            return key.caller()
        if self._tokens is None:
            raise NotKnown("This is no key of this installation.")
        return self._tokens.caller(credentials)


def _name(credentials: str) -> bytes:
    return sha256(credentials.encode()).digest()

"""Redis: where vCons, queues and leases are."""

import dagster as dg
from pydantic import PrivateAttr
from redis import Redis

from vcon_platform.settings import load_settings
from vcon_platform.store.connection import connect


class RedisResource(dg.ConfigurableResource[Redis]):
    """The Redis of this installation's settings. It has no fields, so that no URL with a password shows in the UI."""

    _client: Redis | None = PrivateAttr(default=None)

    def client(self) -> Redis:
        """A client, the same one for the whole process; connects when first used."""
        if self._client is None:
            self._client = connect(load_settings().redis_url())
        return self._client

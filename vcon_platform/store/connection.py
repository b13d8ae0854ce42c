"""One way to connect to Redis, with errors that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from redis import Redis


class StoreUnavailable(PlatformError):
    """Redis cannot be reached or lacks a module; nothing was written."""


def connect(url: str) -> Redis:
    """A client that answers bytes. Does not connect yet."""
    import redis
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    # Bytes in and out: documents go to orjson as they are. Three tries bridge a restart of the server.
    return redis.Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=5,
        socket_timeout=60,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=2.0), 3),
    )


def check(client: Redis) -> None:
    """Raise :class:`StoreUnavailable` unless the server answers and has the JSON module."""
    import redis

    try:
        modules = {bytes(module[b"name"]).lower() for module in client.module_list()}
    except redis.RedisError as error:
        raise StoreUnavailable(
            f"Redis does not answer ({type(error).__name__}). Start it with 'vcon-platform up', or correct REDIS_URL."
        ) from None
    if b"rejson" not in modules:
        raise StoreUnavailable(
            "This Redis has no JSON module. Use Redis 8 or Redis Stack, or unset REDIS_URL to use the embedded one."
        )

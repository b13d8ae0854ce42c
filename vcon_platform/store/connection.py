"""One way to connect to Redis, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from redis import Redis


class StoreUnavailable(PlatformError):
    """Redis cannot do what was asked of it: it is away, full, or lacks a module."""


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
    """Raise :class:`StoreUnavailable` unless the server answers and has the JSON and search modules."""
    with explained():
        modules = {bytes(module[b"name"]).lower() for module in client.module_list()}
    if missing := {b"rejson": "JSON", b"search": "search"}.keys() - modules:
        raise StoreUnavailable(
            _no_module(" and ".join(sorted({b"rejson": "JSON", b"search": "search"}[m] for m in missing)))
        )


@contextmanager
def explained() -> Iterator[None]:
    """Say of a Redis error what an operator can do about it: raises :class:`StoreUnavailable` in its place."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise explain(error) from error


def answers(pipeline: Any) -> tuple[list[Any], StoreUnavailable | None]:
    """Run a pipeline. Gives its replies, each an answer or the error that refused the command (:func:`is_answer`), and
    the first error explained. A lost connection leaves all commands in doubt: no replies, and the reason."""
    import redis

    try:
        replies = pipeline.execute(raise_on_error=False)
    except redis.RedisError as error:
        return [], explain(error)
    failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
    return replies, None if failed is None else explain(failed)


def is_answer(reply: Any) -> bool:
    """False for a command that Redis refused."""
    return not isinstance(reply, Exception)


def explain(error: Exception) -> StoreUnavailable:
    """The error as a sentence with the cure. No values: they may be personal data."""
    import redis

    text = str(error)
    if isinstance(error, redis.AuthenticationError):
        return StoreUnavailable("Redis refuses the password. Correct the password in REDIS_URL.")
    if isinstance(error, redis.BusyLoadingError):
        return StoreUnavailable("Redis is loading its data. Nothing was written; try again in a moment.")
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return StoreUnavailable(
            f"Redis does not answer ({type(error).__name__}). Start it with 'vcon-platform up', or correct REDIS_URL."
        )
    if isinstance(error, redis.OutOfMemoryError) or text.startswith(("OOM", "command not allowed when used memory")):
        return StoreUnavailable(
            "Redis is full (maxmemory), and refuses to write rather than forget. Nothing was written. Give it more "
            "memory, or set VCON_LIVE_SECONDS so that documents leave Redis for the archive."
        )
    if "MISCONF" in text or "No space left" in text:
        return StoreUnavailable(
            "Redis cannot write its log to disk and refuses to write. Nothing was written. Make room on its disk."
        )
    if "unknown command" in text.lower() or "Unknown Redis command" in text:
        return StoreUnavailable(_no_module("JSON or search"))
    if isinstance(error, redis.ReadOnlyError):
        return StoreUnavailable(
            "This Redis is a read-only replica. Nothing was written. Point REDIS_URL at its master."
        )
    return StoreUnavailable(f"Redis refused a command ({type(error).__name__}: {text.split(' ', 1)[0][:40]}).")


def _no_module(what: str) -> str:
    return (
        f"This Redis has no {what} module. Use Redis 8 or Redis Stack, or unset REDIS_URL to use the embedded one. "
        "Nothing was written."
    )

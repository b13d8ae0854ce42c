"""A Redis Stream as a destination: every change of a conversation's rows as an entry.

Belongs here: the options, the entries. Not here: the message and what was sent already (``messages.py``).

A stream holds one entry per conversation, its newest: a new one takes the older one out, so the stream grows with the
conversations and not with their changes, and an erasure takes the rows out at once. A consumer that was slow reads the
newest state and misses none that counts. Which entry is whose stands beside the stream, in the same Redis, and is
changed with it in one step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vcon_platform.projections.destination import Connections
from vcon_platform.projections.destinations.calling import needed
from vcon_platform.projections.destinations.messages import WRITTEN, Message, MessageDestination, Receipt
from vcon_platform.projections.destinations.option_fields import secret
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference

if TYPE_CHECKING:
    from redis import Redis

TITLE = "Redis Stream"
OWN = "projection:"
"""What the names of streams in the platform's own Redis begin with: no declaration writes to another key there."""
PORTION = 200
"""Entries between two notes of what was taken: a script stops Redis for as long as it runs."""
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,199}")

_ADD = """
-- KEYS: stream, entries (uuid to entry); ARGV: most entries (0: any number), then of each: id, type, projection, uuid,
--   day, body, "1" if rows stand in it
for at = 2, #ARGV, 7 do
  local uuid = ARGV[at + 3]
  local before = redis.call('HGET', KEYS[2], uuid)
  if before then redis.call('XDEL', KEYS[1], before) end
  local limit = {}
  if ARGV[1] ~= '0' then limit = {'MAXLEN', '~', ARGV[1]} end
  local fields = {'id', ARGV[at], 'type', ARGV[at + 1], 'projection', ARGV[at + 2], 'uuid', uuid, 'day', ARGV[at + 4]}
  local parts = {KEYS[1]}
  for _, part in ipairs(limit) do parts[#parts + 1] = part end
  parts[#parts + 1] = '*'
  for _, part in ipairs(fields) do parts[#parts + 1] = part end
  parts[#parts + 1] = 'message'
  parts[#parts + 1] = ARGV[at + 5]
  local entry = redis.call('XADD', unpack(parts))
  if ARGV[at + 6] == '1' then redis.call('HSET', KEYS[2], uuid, entry) else redis.call('HDEL', KEYS[2], uuid) end
end
"""


def _stream_name(value: str) -> str:
    if value and not _STREAM.fullmatch(value):
        raise ValueError("must be a name of letters, digits, ':', '_', '.', '-', beginning with a letter or digit")
    return value


class RedisStreamOptions(BaseModel):
    """What ``redis_stream`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(reference("REDIS_STREAM_"))] = secret(
        "Address",
        "env:REDIS_STREAM_URL, or another variable of that kind: redis://… or rediss://…. Empty: the "
        "platform's own Redis.",
    )
    stream: Annotated[str, AfterValidator(_stream_name)] = Field(
        default="",
        title="Stream",
        description="The stream's key; by default projection: and the projection's name. In the platform's own Redis "
        "it begins with projection:.",
    )
    at_most: int = Field(
        default=0,
        ge=0,
        title="At most",
        description="Entries that the stream keeps, nearly; older ones are dropped, also unread ones. 0: all.",
    )

    @model_validator(mode="after")
    def _writes_to_no_other_key(self) -> Self:
        if not self.url and self.stream and not self.stream.startswith(OWN):
            raise ValueError(f"/stream must begin with {OWN!r} in the platform's own Redis")
        return self


class RedisStreamDestination(MessageDestination):
    """Changes of rows as entries of a stream."""

    kind: ClassVar[str] = "redis_stream"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = RedisStreamOptions

    def __init__(self, client: Redis, stream: Redis) -> None:
        super().__init__(client)
        self._stream = stream
        self._add = stream.register_script(_ADD)

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        options = _options(projection)
        own = connections.redis()
        if not options.url:
            return cls(own, own)
        from redis import Redis
        from redis.exceptions import RedisError

        url = needed(projection.name, TITLE, "url", options.url)
        try:
            return cls(own, Redis.from_url(url, socket_timeout=30, socket_connect_timeout=10))
        except (ValueError, RedisError):  # its text may quote the address
            raise DestinationError(
                f"projection {projection.name}: {TITLE}: the variable {options.url.removeprefix('env:')} holds no "
                "address; write redis://:password@host:6379/0"
            ) from None

    @classmethod
    def target(cls, projection: Projection) -> str:
        options = _options(projection)
        return f"{options.url or 'redis'} {options.stream or OWN + projection.name}"

    def send(self, projection: Projection, messages: Sequence[Message]) -> Iterator[Sequence[Receipt]]:
        options = _options(projection)
        stream = options.stream or OWN + projection.name
        for at in range(0, len(messages), PORTION):
            portion = messages[at : at + PORTION]
            parts: list[str | bytes | int] = [options.at_most]
            for each in portion:
                holds = "1" if each.type == WRITTEN else "0"
                parts += [each.id, each.type, projection.name, each.uuid, each.day, each.body, holds]
            with _explained(projection):
                self._add(keys=[stream, f"{stream}:entries"], args=parts)
            yield [Receipt(each) for each in portion]


def _options(projection: Projection) -> RedisStreamOptions:
    return RedisStreamOptions.model_validate(dict(projection.options_for(RedisStreamDestination.kind)))


@contextmanager
def _explained(projection: Projection) -> Iterator[None]:
    from redis import exceptions

    place = f"projection {projection.name}: {TITLE}, {RedisStreamDestination.target(projection)}"
    try:
        yield
    except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
        raise DestinationError(f"{place}: is refused ({type(error).__name__}); check user, password, rights") from None
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise DestinationUnavailable(
            f"{place}: cannot be reached ({type(error).__name__}); the rows follow at the next try"
        ) from None
    except exceptions.RedisError as error:
        raise DestinationError(
            f"{place}: refuses ({type(error).__name__}); is something else than a stream kept under that key?"
        ) from None

"""Calls of the scripts that take many vCons at once: how many go into one, and whose answer is whose.

Belongs here: that. Not here: what such a script does (``lua/commit.lua``, ``lua/create.lua``), its arguments
(``commits.py``), or what an answer means (``committing.py``, ``documents.py``).

A script call of its own for each vCon cost client and Redis together a third more than twenty in one. More than that
gain little and let others wait longer, since Redis does nothing else meanwhile.

Calls are sent past redis-py's pipelines, which send nothing before everything is there: Redis stood idle while the
parts were made, and whoever made them while Redis worked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcon_platform.store.connection import StoreUnavailable, answers, explain, is_answer

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

Argument = str | bytes | int | float

MOST = 20
"""vCons in one call: about two milliseconds of Redis' time."""
HEAVIEST = 1 << 20
"""Bytes of one call, about; a vCon that is larger has a call of its own."""


@dataclass(frozen=True, slots=True)
class Part:
    """One vCon's keys and arguments. ``weight``: their bytes, as far as they count."""

    keys: Sequence[str]
    args: Sequence[Argument]
    weight: int = 0


class Calls:
    """The calls of one script for many parts: each leaves as soon as it is full, and Redis works while the next parts
    are made. ``keys`` and ``args`` stand before each call's own, the number of its parts before those.

    Holds a connection from the first call until :meth:`answers` or :meth:`close`, one of which must come."""

    def __init__(self, script: Script, client: Redis, *, keys: Sequence[str], args: Sequence[Argument] = ()) -> None:
        self._script, self._client = script, client
        self._keys, self._args = keys, args
        self._group: list[Part] = []
        self._weight = 0
        self._sent: list[list[Part]] = []
        self._connection: Any = None
        self._lost = False
        self.repeated = False
        """True once some calls were made again: what the answers deny may be what the first ones did."""

    def put(self, part: Part) -> None:
        """Add a part. What goes wrong with the connection is told by :meth:`answers`."""
        if self._group and (len(self._group) >= MOST or self._weight + part.weight > HEAVIEST):
            self._send()
        self._group.append(part)
        self._weight += part.weight

    def send(self) -> None:
        """Let the last call go too, though it is not full."""
        if self._group:
            self._send()

    def _send(self) -> None:
        import redis

        group, self._group, self._weight = self._group, [], 0
        self._sent.append(group)
        if self._lost:
            return
        command = ("EVALSHA", self._script.sha, *self._command(group))
        try:
            if self._connection is None:
                self._connection = self._client.connection_pool.get_connection()
            packed = self._connection.pack_command(*command)
            self._connection.send_packed_command([b"".join(packed)])
        except (redis.ConnectionError, redis.TimeoutError):
            self._lost = True
        except BaseException:
            self.close()
            raise

    def _command(self, group: Sequence[Part]) -> list[Argument]:
        """Number of keys, keys, arguments."""
        own = [key for part in group for key in part.keys]
        command: list[Argument] = [len(self._keys) + len(own), *self._keys, *own, len(group), *self._args]
        for part in group:
            command += part.args
        return command

    def answers(self) -> tuple[list[Any], StoreUnavailable | None]:
        """The answers for all parts, as :func:`~vcon_platform.store.connection.answers` gives them. Where the
        connection broke, all calls are made again, as redis-py does with a pipeline."""
        import redis

        self.send()
        replies: list[Any] = []
        try:
            if not self._lost:
                replies = [self._read() for _ in self._sent]
        except (redis.ConnectionError, redis.TimeoutError):
            self._lost = True
        finally:
            self.close(sound=not self._lost and len(replies) == len(self._sent))
        unknown = [
            place for place, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)
        ]  # a Redis that is new, or was restarted: none of these ran
        again = range(len(self._sent)) if self._lost else unknown
        failure = None
        if again:
            self.repeated = True
            more, failure = self._by_pipeline([self._sent[place] for place in again])
            if self._lost:
                replies = more
            else:
                for place, reply in zip(again, more, strict=False):
                    replies[place] = reply
        return self._told(replies, failure)

    def _read(self) -> Any:
        import redis

        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error

    def _by_pipeline(self, groups: Sequence[Sequence[Part]]) -> tuple[list[Any], StoreUnavailable | None]:
        """With all that redis-py does for a pipeline: scripts loaded first, tried again while Redis restarts."""
        pipeline = self._client.pipeline(transaction=False)
        for group in groups:
            count, *rest = self._command(group)
            keys, args = rest[: int(count)], rest[int(count) :]
            self._script(keys=keys, args=args, client=pipeline)  # type: ignore[arg-type]  # the keys are texts
        return answers(pipeline)

    def _told(
        self, replies: Sequence[Any], failure: StoreUnavailable | None
    ) -> tuple[list[Any], StoreUnavailable | None]:
        import redis

        told: list[Any] = []
        for group, reply in zip(self._sent, replies, strict=False):
            if is_answer(reply):
                told += reply
            else:
                told += [reply] * len(group)
                failure = failure or explain(reply)
        for place, answer in enumerate(told):
            if is_answer(answer) and answer[0] == b"error":  # of this one alone, whatever became of its neighbours
                told[place] = error = redis.ResponseError(answer[1].decode(errors="replace"))
                failure = failure or explain(error)
        return told, failure

    def close(self, *, sound: bool = False) -> None:
        """Give the connection back; one on which answers may still come is closed first."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if not sound:
                connection.disconnect()
            self._client.connection_pool.release(connection)

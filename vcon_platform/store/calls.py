"""Calls of the scripts that take many vCons at once: how many go into one, and whose answer is whose.

Belongs here: that. Not here: what such a script does (``lua/commit.lua``, ``lua/create.lua``), its arguments
(``commits.py``), or what an answer means (``committing.py``, ``documents.py``).

A script call of its own for each vCon cost client and Redis together a third more than twenty in one. More than that
gain little and let others wait longer, since Redis does nothing else meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def call(
    script: Script, client: Redis, parts: Sequence[Part], *, keys: Sequence[str], args: Sequence[Argument] = ()
) -> tuple[list[Any], StoreUnavailable | None]:
    """Run a script over all parts in one pipeline. ``keys`` and ``args`` stand before each call's own, the number of
    its parts before those. Gives the answers as :func:`~vcon_platform.store.connection.answers` does."""
    import redis

    pipeline = client.pipeline(transaction=False)
    groups = list(_groups(parts))
    for group in groups:
        script(
            keys=[*keys, *(key for part in group for key in part.keys)],
            args=[len(group), *args, *(argument for part in group for argument in part.args)],
            client=pipeline,
        )
    replies, failure = answers(pipeline)
    told: list[Any] = []
    for group, reply in zip(groups, replies, strict=False):
        told += reply if is_answer(reply) else [reply] * len(group)
    for place, answer in enumerate(told):
        if is_answer(answer) and answer[0] == b"error":  # of this one alone, whatever became of the others in its call
            told[place] = error = redis.ResponseError(answer[1].decode(errors="replace"))
            failure = failure or explain(error)
    return told, failure


def _groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    group: list[Part] = []
    weight = 0
    for part in parts:
        if group and (len(group) >= MOST or weight + part.weight > HEAVIEST):
            yield group
            group, weight = [], 0
        group.append(part)
        weight += part.weight
    if group:
        yield group

"""Carries out what processors asked to be done outside, and writes down what came of it.

Belongs here: the order of things, how often and when a passing fault is tried again, the ledger's event. Not here: the
states of an effect and the steps between them (``store/effects.py``), doing one (each processor's ``deliver``).

One effect is begun at a time by each thread, so that a process that dies leaves at most that many uncertain. What
raises something that nobody foresaw is uncertain too: it may have happened.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vcon_platform.errors import PlatformError, trace_of
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.processors.base import Effect, Lent, OutcomeUnknown, PermanentError, Processor, TransientError
from vcon_platform.store.effects import EffectsOutbox, KeptEffect

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

TRIES = 12
"""Then a passing fault counts as a lasting one: with the waits below, about 15 hours."""
FIRST_WAIT, LONGEST_WAIT = 30.0, 6 * 3600.0
"""Seconds before the second try, twice as long before each further one, and no longer than this."""
THREADS = 4
"""Effects at once: each waits for somebody else's server nearly all of its time."""
UNCERTAIN_SECONDS = 900.0
"""An effect begun longer ago than this has lost its process: a delivery gives up after two minutes by itself."""


@dataclass(slots=True)
class Delivered:
    """What came of a delivery: how many were sent, put off (``later``), ``refused`` or are ``uncertain``."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        return self.counts["sent"]


def effects_outbox(client: Redis) -> EffectsOutbox:
    """The effects of this Redis, with their events in the ledger's terms."""
    return EffectsOutbox(client, _event)


def _event(effect: KeptEffect, sent: bool, reason: str) -> bytes:
    detail: dict[str, Any] = {"effect": effect.key, "step": effect.step, "summary": effect.summary}
    if effect.tries:
        detail["tries"] = effect.tries
    if reason:
        detail["reason"] = reason
    return LedgerEvent(
        vcon_uuid=effect.vcon_uuid,
        event=EventKind.SENT if sent else EventKind.NOT_SENT,
        pipeline=effect.pipeline,
        processor=effect.processor,
        processor_version=effect.version,
        batch_id=effect.batch_id or None,
        run_id=effect.run_id or None,
        detail=detail,
    ).to_bytes()


def deliver(
    outbox: EffectsOutbox,
    processor_named: Callable[[str], Processor[Any]],
    *,
    owner: str,
    lent: Lent | None = None,
    limit: int = 1000,
    seconds: float | None = None,
    threads: int = THREADS,
) -> Delivered:
    """Carry out up to ``limit`` effects that are due, beginning none after ``seconds``; before that, put those aside
    that died. ``processor_named`` gives the processor that asked (``Registry.instance``), ``lent`` is what it may use.
    Never raises for one effect."""
    delivered = Delivered()
    delivered.counts["uncertain"] += outbox.settle_uncertain(UNCERTAIN_SECONDS)
    end = None if seconds is None else time.monotonic() + seconds

    def work(share: int) -> Counter[str]:
        told = Counter[str]()
        while told.total() < share and (end is None or time.monotonic() < end):
            claimed = outbox.claim(1, owner)
            if not claimed:
                break
            told[_carry_out(outbox, claimed[0], processor_named, owner, lent)] += 1
        return told

    shares = [limit // threads + (number < limit % threads) for number in range(threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="deliver") as pool:
        for told in pool.map(work, [share for share in shares if share]):
            delivered.counts += told
    return delivered


def _carry_out(
    outbox: EffectsOutbox,
    effect: KeptEffect,
    processor_named: Callable[[str], Processor[Any]],
    owner: str,
    lent: Lent | None,
) -> str:
    try:
        processor_named(effect.processor).deliver(Effect(effect.body, effect.summary, lent=lent), effect.key)
    except TransientError as error:
        if effect.tries >= TRIES:
            outbox.refuse(effect, owner, f"{error}; given up after {effect.tries} tries")
            return "refused"
        outbox.later(effect, owner, _wait(effect.tries, error.retry_after), str(error))
        return "later"
    except OutcomeUnknown as error:
        outbox.doubt(effect, owner, str(error))
        return "uncertain"
    except PlatformError as error:  # also a processor that is not installed any more
        if not isinstance(error, PermanentError):
            logger.warning("effect %s: %s", effect.key, error)
        outbox.refuse(effect, owner, str(error))
        return "refused"
    except Exception as error:  # a plugin may raise anything, at any moment of its work
        logger.error("processor %s failed to deliver effect %s: %s", effect.processor, effect.key, trace_of(error))
        outbox.doubt(effect, owner, f"unexpected {type(error).__name__} in processor {effect.processor}")
        return "uncertain"
    outbox.sent(effect, owner)
    return "sent"


def _wait(tries: int, retry_after: float | None) -> float:
    wait: float = min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads tries
    return max(wait, min(retry_after or 0.0, LONGEST_WAIT))

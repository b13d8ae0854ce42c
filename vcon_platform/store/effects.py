"""What processors ask to be done outside (mails): from the commit that asks for it until it is done, once.

Belongs here: where an effect stands, and each step from one state to the next. Not here: carrying one out
(``processors/``), when and how often that is tried (``pipelines/deliveries.py``), the ledger's events (they come in as
bytes, because the store does not know the ledger).

The commit that settles a job puts its effects into the waiting list, so there is none without its job and no job
without its effects. An effect is then in exactly one state::

    waiting -> sending -> sent
                       -> later (a passing fault) -> sending ...
                       -> refused (it cannot be done; nothing happened)
                       -> uncertain (its process died at it: nobody knows whether it happened)

Its key is made of what it is for and what it says. The same key is carried out once: what comes again while an equal
one is under way, sent or uncertain is dropped without a trace; one that was refused is tried again, for it never
happened. Nothing tries an uncertain one again by itself: a mail that is missing is asked for, one that came twice is
believed. An operator decides (``resend``, ``drop``). What was sent is remembered by its key alone, for 90 days.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts

if TYPE_CHECKING:
    from redis import Redis

State = Literal["waiting", "sending", "later", "refused", "uncertain"]
STATES: tuple[State, ...] = ("waiting", "sending", "later", "refused", "uncertain")

SENT_SECONDS = 90 * 24 * 3600
"""How long a key is known to have been sent: longer than a pipeline is likely to be run over again."""

_KEYS = (
    keys.EFFECTS,
    keys.effects("later"),
    keys.effects("sending"),
    keys.effects("sent"),
    keys.effects("refused"),
    keys.effects("uncertain"),
    keys.EFFECTS_KEPT,
    keys.EFFECTS_TRIES,
    keys.EFFECTS_OWNERS,
    keys.EFFECTS_REASONS,
    keys.OUTBOX,
)
"""What every script here is given, in this order."""


class EffectUnknown(PlatformError):
    """No effect of that key can be had."""


@dataclass(frozen=True, slots=True)
class KeptEffect:
    """One effect as it is kept. ``body`` is the processor's own, JSON without secrets, and personal data as a rule;
    ``summary`` is fit to be shown. ``tries``: how often it was begun. ``at``: when it was asked for (epoch seconds).
    ``since``: when it came into its state, or when it is due again."""

    key: str
    vcon_uuid: str
    pipeline: str
    step: str
    processor: str
    version: str
    body: Mapping[str, Any] = field(repr=False)
    summary: str = ""
    batch_id: str = ""
    run_id: str = ""
    at: float = 0.0
    tries: int = 0
    since: float = 0.0
    reason: str = ""


EventOf = Callable[[KeptEffect, bool, str], bytes]
"""Makes the ledger's event of an effect: (effect, whether it was sent, reason why not)."""


def new_effect(
    vcon_uuid: str,
    pipeline: str,
    step: str,
    processor: str,
    version: str,
    body: Mapping[str, Any],
    summary: str = "",
    *,
    about: Any = None,
    batch_id: str = "",
    run_id: str = "",
) -> bytes:
    """The entry for ``keys.EFFECTS``. Its key depends on what it is for and what it says (``about``, or else the body),
    not on when or in which run it was asked for; ``version`` is the processor's."""
    same = orjson.dumps(
        [vcon_uuid, pipeline, step, processor, version, body if about is None else {"about": about}],
        option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS,
    )
    return orjson.dumps(
        {
            "key": hashlib.sha256(same).hexdigest()[:40],  # first: the scripts read it there
            "vcon_uuid": vcon_uuid,
            "pipeline": pipeline,
            "step": step,
            "processor": processor,
            "version": version,
            "body": body,
            "summary": summary,
            "batch_id": batch_id,
            "run_id": run_id,
            "at": time.time(),
        },
        option=orjson.OPT_NON_STR_KEYS,
    )


def read_effect(raw: bytes, *, tries: int = 0, since: float = 0.0, reason: str = "") -> KeptEffect:
    """What :func:`new_effect` made. Raises :class:`EffectUnknown` when it is something else."""
    try:
        return KeptEffect(**orjson.loads(raw), tries=tries, since=since, reason=reason)
    except (orjson.JSONDecodeError, TypeError):
        raise EffectUnknown("an entry of the effects is none; it was put there by other software") from None


class EffectsOutbox:
    """All effects of one Redis. ``event_of`` makes the events of the ledger, which enter it in the same script."""

    def __init__(self, client: Redis, event_of: EventOf, keep_seconds: int = SENT_SECONDS) -> None:
        self._client = client
        self._event_of = event_of
        self._keep_seconds = keep_seconds
        self._claim = scripts.script(client, "effect_claim")
        self._sent = scripts.script(client, "effect_sent")
        self._later = scripts.script(client, "effect_later")
        self._aside = scripts.script(client, "effect_aside")
        self._release = scripts.script(client, "effect_release")

    # --- for who carries them out -------------------------------------------------------------------------------

    def claim(self, limit: int, owner: str) -> list[KeptEffect]:
        """Begin up to ``limit`` effects that are due or waiting, as ``owner``. Should the owner die, all of them are
        uncertain: claim no more than are begun at once. What was sent already is dropped."""
        answer = self._claim(keys=_KEYS, args=[limit, owner, self._keep_seconds])
        claimed = []
        for raw, tries in zip(answer[::2], answer[1::2], strict=True):
            try:
                claimed.append(read_effect(raw, tries=int(tries)))
            except EffectUnknown:  # a key, and nothing else as it should be: keep it out of the way
                key = raw[8:].partition(b'"')[0]
                self._aside(keys=_KEYS, args=[key, owner, "", "refused", "the entry cannot be read", ""])
        return claimed

    def sent(self, effect: KeptEffect, owner: str) -> bool:
        """It is done. False: somebody else has it, so nothing was written. True also if it was taken for uncertain
        meanwhile: now it is known."""
        return bool(self._sent(keys=_KEYS, args=[effect.key, owner, _events(self._event_of(effect, True, ""))]))

    def later(self, effect: KeptEffect, owner: str, delay: float, reason: str) -> bool:
        """It did not happen, for a passing reason: it is due again after ``delay`` seconds. False: somebody else's."""
        return bool(self._later(keys=_KEYS, args=[effect.key, owner, delay, reason]))

    def refuse(self, effect: KeptEffect, owner: str, reason: str) -> bool:
        """It did not happen and will not: put aside, with an event. False: it is somebody else's."""
        return self._put_aside(effect, owner, "refused", reason)

    def doubt(self, effect: KeptEffect, owner: str, reason: str) -> bool:
        """Nobody can tell whether it happened: put aside for an operator, with an event. False: somebody else's."""
        return self._put_aside(effect, owner, "uncertain", reason)

    def settle_uncertain(self, older_than: float) -> int:
        """Put aside as uncertain what was begun more than this many seconds ago and never ended; gives how many."""
        seconds, micros = self._client.time()
        before = seconds + micros / 1e6 - older_than
        count = 0
        for effect in self.entries("sending"):
            if effect.since <= before:
                reason = "the process died while it was carried out; nobody knows whether it happened"
                count += self._put_aside(effect, "", "uncertain", reason, before)
        return count

    def _put_aside(
        self, effect: KeptEffect, owner: str, state: str, reason: str, before: float | Literal[""] = ""
    ) -> bool:
        event = _events(self._event_of(effect, False, reason))
        return bool(self._aside(keys=_KEYS, args=[effect.key, owner, before, state, reason, event]))

    # --- for operators ------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """How many effects are in each state; ``sent``: those whose keys are still known."""
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.llen(keys.EFFECTS)
            for state in (*STATES[1:], "sent"):
                pipeline.zcard(keys.effects(state))
            return dict(zip((*STATES, "sent"), pipeline.execute(), strict=True))

    def due(self) -> int:
        """How many could be begun now."""
        seconds, _ = self._client.time()
        waiting = self._client.llen(keys.EFFECTS)
        return waiting + self._client.zcount(keys.effects("later"), "-inf", seconds)

    def entries(self, state: State, limit: int = 1000) -> list[KeptEffect]:
        """Up to ``limit`` effects in this state, those first that came into it (or are due) first."""
        if state == "waiting":
            raws = cast("list[bytes]", self._client.lrange(keys.EFFECTS, 0, limit - 1))
            return [effect for raw in raws if (effect := _read(raw)) is not None]
        members = cast(
            "list[tuple[bytes, float]]",
            self._client.zrange(keys.effects(state), 0, limit - 1, withscores=True),
        )
        if not members:
            return []
        names = [key for key, _ in members]
        kept = cast("Sequence[bytes | None]", self._client.hmget(keys.EFFECTS_KEPT, names))
        tries = cast("Sequence[bytes | None]", self._client.hmget(keys.EFFECTS_TRIES, names))
        reasons = cast("Sequence[bytes | None]", self._client.hmget(keys.EFFECTS_REASONS, names))
        found = (
            _read(raw, tries=int(count or 0), since=since, reason=(reason or b"").decode("utf-8", "replace"))
            for (_, since), raw, count, reason in zip(members, kept, tries, reasons, strict=True)
            if raw is not None
        )
        return [effect for effect in found if effect is not None]

    def resend(self, key: str) -> KeptEffect:
        """Have one tried again that was refused, is uncertain or due later. Raises :class:`EffectUnknown`."""
        effect = self._kept(key)
        if effect is None or not self._release(keys=_KEYS, args=[key, "waiting", ""]):
            raise EffectUnknown(f"no effect {key} was refused, is uncertain or due later; see 'effects list'")
        return effect

    def drop(self, key: str) -> KeptEffect:
        """Give one up that waits, was refused, is uncertain or due later, with an event. Raises
        :class:`EffectUnknown`, also for one that is being sent: that is decided already."""
        reason = "dropped by an operator"
        effect = self._kept(key)
        if effect is not None and self._release(
            keys=_KEYS, args=[key, "", _events(self._event_of(effect, False, reason))]
        ):
            return effect
        for raw in cast("list[bytes]", self._client.lrange(keys.EFFECTS, 0, -1)):
            effect = _read(raw)
            if effect is not None and effect.key == key:
                event = _events(self._event_of(effect, False, reason))
                if self._release(keys=_KEYS, args=[key, raw, event]):
                    return effect
        raise EffectUnknown(f"no effect {key} waits, was refused, is uncertain or due later; see 'effects list'")

    def forget(self, key: str) -> bool:
        """Forget that one was sent: asked for once more, it is sent once more. False: its key is not known."""
        return bool(self._client.zrem(keys.effects("sent"), key))

    def _kept(self, key: str) -> KeptEffect | None:
        raw = cast("bytes | None", self._client.hget(keys.EFFECTS_KEPT, key))
        return None if raw is None else _read(raw)


def _events(event: bytes) -> bytes:
    return b"[" + event + b"]"


def _read(raw: bytes, *, tries: int = 0, since: float = 0.0, reason: str = "") -> KeptEffect | None:
    try:
        return read_effect(raw, tries=tries, since=since, reason=reason)
    except EffectUnknown:
        return None

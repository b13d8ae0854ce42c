"""Accounts: what each pipeline used, by day, by month and in all, kept where every process of every machine sees it.

Belongs here: adding and reading sums. Not here: what the fields mean, prices and budgets (``pipelines/purchases.py``),
the record of each single use, which is the ledger's and lasts longer than an account.

Days and months are those of UTC. An account of a day is forgotten after forty days, one of a month after fourteen
months: they are there for budgets, which look at the present one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.connection import explained

if TYPE_CHECKING:
    from redis import Redis

Span = Literal["day", "month", "total"]

_STAYS: dict[Span, int] = {"day": 40 * 86400, "month": 430 * 86400, "total": 0}
"""Seconds; 0: for good."""
_MARK_SECONDS = 600
"""For how long a use that was told already is known again. The client's own tries after a lost answer take seconds."""


def period(span: Span, at: datetime) -> str:
    """The name of the period that a moment (in UTC) belongs to."""
    match span:
        case "day":
            return f"{at:%Y-%m-%d}"
        case "month":
            return f"{at:%Y-%m}"
        case _:
            return "total"


class Accounts:
    """The accounts of one installation. Thread-safe."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._account = scripts.script(client, "account")

    def add(self, pipeline: str, amounts: Mapping[str, str], at: datetime, *, event: bytes, event_id: str) -> None:
        """Add decimal numbers to the fields of the pipeline's accounts that ``at`` (in UTC) belongs to, and have
        ``event`` go into the ledger. Raises StoreUnavailable."""
        accounts = [keys.account(pipeline, period(span, at)) for span in _STAYS]
        pairs = [part for pair in amounts.items() for part in pair]
        with explained():
            self._account(
                keys=[keys.accounted(event_id), keys.OUTBOX, *accounts],
                args=[_MARK_SECONDS, b"[" + event + b"]", *_STAYS.values(), *pairs],
            )

    def read(self, pipeline: str, span: Span, at: datetime) -> dict[str, float]:
        """The sums of the period that ``at`` (in UTC) belongs to. Raises StoreUnavailable."""
        with explained():
            found = cast("dict[bytes, bytes]", self._client.hgetall(keys.account(pipeline, period(span, at))))
        return {field.decode(): float(value) for field, value in found.items()}

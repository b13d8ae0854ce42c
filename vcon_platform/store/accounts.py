"""Accounts: what each pipeline used, by day, by month and in all, and what each run used, kept where every process of
every machine sees it.

Belongs here: adding and reading sums. Not here: what the fields mean, prices and budgets (``pipelines/purchases.py``),
the record of each single use, which is the ledger's and lasts longer than an account.

Days and months are those of UTC. An account of a day is forgotten after forty days, one of a month after fourteen
months: they are there for budgets, which look at the present one. That of a run is there for the run to tell it.
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
_RUN_STAYS = 2 * 86400
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

    def add(
        self, pipeline: str, amounts: Mapping[str, str], at: datetime, *, event: bytes, event_id: str, run_id: str = ""
    ) -> None:
        """Add decimal numbers to the fields of the pipeline's accounts that ``at`` (in UTC) belongs to, and of the
        run's, and have ``event`` go into the ledger. Raises StoreUnavailable."""
        accounts = {keys.account(pipeline, period(span, at)): stays for span, stays in _STAYS.items()}
        if run_id:
            accounts[keys.run_account(run_id)] = _RUN_STAYS
        pairs = [part for pair in amounts.items() for part in pair]
        with explained():
            self._account(
                keys=[keys.accounted(event_id), keys.OUTBOX, *accounts],
                args=[_MARK_SECONDS, b"[" + event + b"]", *accounts.values(), *pairs],
            )

    def read(self, pipeline: str, span: Span, at: datetime) -> dict[str, float]:
        """The sums of the period that ``at`` (in UTC) belongs to. Raises StoreUnavailable."""
        return self._sums(keys.account(pipeline, period(span, at)))

    def read_run(self, run_id: str) -> dict[str, float]:
        """The sums of a run that is under way or ended lately. Raises StoreUnavailable."""
        return self._sums(keys.run_account(run_id))

    def _sums(self, key: str) -> dict[str, float]:
        with explained():
            found = cast("dict[bytes, bytes]", self._client.hgetall(key))
        return {field.decode(): float(value) for field, value in found.items()}

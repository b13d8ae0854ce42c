"""What was spent: sums from the ledger, and how much of each pipeline's budget is left, for whoever asks.

Belongs here: putting the two together, for command line and API. Not here: sums (``ledger/usage.py``), budgets
(``purchases.py``), words and colours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.ledger.usage import By, UsageSum
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.pipeline_options import Budget
from vcon_platform.pipelines.purchases import Purchasing, Used
from vcon_platform.store.connection import explained

if TYPE_CHECKING:
    from redis import Redis

SHIP_SECONDS = 5.0
"""For how long what waits in the outbox is brought into the ledger first, so that the sums are of now."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A pipeline's budget, and what was used of it in the present period."""

    pipeline: str
    budget: Budget
    used: Used
    currency: str

    def to_json(self) -> dict[str, Any]:
        """The state for programs."""
        limits = (
            ("price", float(self.used.price), self.budget.price),
            ("seconds", self.used.seconds, self.budget.seconds),
            ("tokens", self.used.tokens, self.budget.tokens),
        )
        return {
            "pipeline": self.pipeline,
            "per": self.budget.per,
            "period": self.used.period,
            "currency": self.currency,
            "limits": [
                {"what": what, "used": used, "most": most, "left": max(0.0, most - used)}
                for what, used, most in limits
                if most is not None
            ],
            "without_price": list(self.used.unpriced),
        }


@dataclass(frozen=True, slots=True)
class Spending:
    """Sums by what was asked for, and all budgets."""

    by: By
    since: datetime | None
    until: datetime | None
    sums: tuple[UsageSum, ...]
    budgets: tuple[BudgetState, ...]

    def to_json(self) -> dict[str, Any]:
        """The whole for programs. Prices are decimal numbers as texts, so that nothing is rounded."""
        return {
            "by": self.by,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "usage": [
                {
                    "name": each.name,
                    "calls": each.calls,
                    "conversations": each.conversations,
                    "seconds": each.seconds,
                    "input_tokens": each.input_tokens,
                    "output_tokens": each.output_tokens,
                    "prices": [
                        {"currency": currency, "price": f"{price.normalize():f}"}
                        for currency, price in sorted(each.prices.items())
                    ],
                    "calls_without_price": each.unpriced,
                }
                for each in self.sums
            ],
            "budgets": [each.to_json() for each in self.budgets],
        }


def spending(
    client: Redis,
    ledger: Ledger,
    purchasing: Purchasing,
    definitions: Iterable[Definition],
    by: By,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Spending:
    """What was used from ``since`` on and before ``until``, and the state of these pipelines' budgets. Raises
    LedgerUnavailable, StoreUnavailable, PricesUnreadable."""
    with explained():
        ship_all(client, ledger, within=SHIP_SECONDS)
    return Spending(
        by,
        since,
        until,
        tuple(ledger.usage(by, since=since, until=until)),
        tuple(
            BudgetState(
                definition.name,
                definition.options.budget,
                purchasing.used(definition.name, definition.options.budget),
                purchasing.currency(),
            )
            for definition in definitions
            if definition.options.budget is not None
        ),
    )

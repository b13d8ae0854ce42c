"""Purchases: what a pipeline may buy and what it used.

Before a call that costs, its pipeline's budget is looked at; after it, what it used is added to the pipeline's
accounts and told to the ledger, in one step and whatever becomes of the conversation: it is owed. A result that is
taken from the cache is neither.

Belongs here: that, and the state of a budget. Not here: prices (``prices.py``), sums in Redis (``store/accounts.py``),
what a call is (``ProcessorIO.buy``).

A budget is a brake, no lock: calls that are under way when it is used up are finished, for nobody knows beforehand what
one will use. So it is overrun by no more than those calls: those of all conversations at once in all of the pipeline's
runs. To know that takes one read of a small hash for each call that is bought, where there is a budget.

What was used without a price stands in the account by service and model. A budget in money cannot be kept then: it
stops too, until ``prices.yaml`` has a price, which counts for what was used before as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.pipelines.pipeline_options import Budget
from vcon_platform.pipelines.prices import PriceFile, Prices, PricesUnreadable
from vcon_platform.pipelines.texts import PRICES_FILE
from vcon_platform.processors.base import Buyer, PermanentError, Purchases, Usage
from vcon_platform.settings import Settings
from vcon_platform.store.accounts import Accounts, period
from vcon_platform.store.connection import StoreUnavailable

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

_PRICE, _SECONDS, _TOKENS, _CALLS = "price", "seconds", "tokens", "calls"
_DAYS = {"day": "the next day", "month": "the next month"}


class BudgetExhausted(PermanentError):
    """The pipeline has used up its budget. Trying again helps once there is more of it."""

    code = "budget_exhausted"


class PriceUnknown(PermanentError):
    """There is a budget in money, and what was used has no price."""

    code = "price_unknown"


@dataclass(frozen=True, slots=True)
class Used:
    """What a pipeline used in a period (``2026-07-30``, ``2026-07``, ``total``), or a run. ``price`` is that of what
    has one; ``unpriced``: services and models without a price."""

    period: str
    price: Decimal
    seconds: float
    tokens: int
    calls: int
    unpriced: tuple[str, ...] = ()


class Purchasing:
    """What all pipelines of an installation buy. Thread-safe."""

    def __init__(
        self, accounts: Accounts, prices: PriceFile, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._accounts = accounts
        self._prices = prices
        self._clock = clock

    def within(self, budget: Budget | None, *, batch_id: str = "", run_id: str = "") -> Purchases:
        """What is lent to the processors of a pipeline with this budget, as long as they work on this batch."""
        return _Purchases(self, budget, batch_id, run_id)

    def currency(self) -> str:
        """The currency of the prices, as their file names it."""
        return self._present().currency

    def used(self, pipeline: str, budget: Budget) -> Used:
        """What the pipeline used in the present period of this budget. Raises StoreUnavailable, and PricesUnreadable
        if the budget is one in money."""
        at = self._clock()
        prices = self._prices.current() if budget.price is not None else self._present()
        return _used(period(budget.per, at), self._accounts.read(pipeline, budget.per, at), prices)

    def used_by_run(self, run_id: str) -> Used:
        """What a run that is under way or ended lately used so far. Raises StoreUnavailable."""
        return _used(run_id, self._accounts.read_run(run_id), self._present())

    def check(self, pipeline: str, budget: Budget) -> None:
        """Raise :class:`BudgetExhausted` or :class:`PriceUnknown` unless more may be bought; StoreUnavailable."""
        try:
            used = self.used(pipeline, budget)
            currency = f" {self.currency()}".rstrip()
        except PricesUnreadable as error:
            raise PriceUnknown(
                f"pipeline {pipeline} has a budget in money, and the prices cannot be read: {error}. Nothing more is "
                "bought until that is mended; then redrive its failed jobs"
            ) from None
        except StoreUnavailable as error:
            error.transient = True
            raise
        limits = (
            ("price", used.price, budget.price, currency),
            ("seconds", used.seconds, budget.seconds, " s of audio"),
            ("tokens", used.tokens, budget.tokens, " tokens"),
        )
        for name, has, most, unit in limits:
            if most is not None and Decimal(str(has)) >= Decimal(str(most)):
                wait = f", or wait for {_DAYS[budget.per]} (UTC)" if budget.per in _DAYS else ""
                when = "in all" if budget.per == "total" else f"in {used.period}"
                raise BudgetExhausted(
                    f"the budget of pipeline {pipeline} is used up: {has:.10g} of {most:.10g}{unit} {when}; nothing "
                    f"more is bought. Raise /pipeline_options/budget/{name}{wait}; then redrive its failed jobs "
                    f"('vcon-platform queue redrive {pipeline} --all')"
                )
        if budget.price is not None and used.unpriced:
            raise PriceUnknown(
                f"pipeline {pipeline} has a budget in money, and {PRICES_FILE} has no price for "
                f"{', '.join(used.unpriced)}; nothing more is bought. Write one down (docs/usage.md shows how); it "
                "counts for what was used already. Then redrive its failed jobs"
            )

    def account(self, buyer: Buyer, usage: Usage, *, batch_id: str = "", run_id: str = "") -> None:
        """Write down what a call used. Never raises for Redis: the result is there and must not be lost for it."""
        at = self._clock()
        prices = self._present()
        price = prices.of(usage)
        event = LedgerEvent(
            vcon_uuid=buyer.vcon_uuid,
            event=EventKind.USED,
            pipeline=buyer.pipeline,
            pipeline_version=buyer.pipeline_version or None,
            processor=buyer.processor,
            processor_version=buyer.processor_version,
            batch_id=batch_id or None,
            run_id=run_id or None,
            detail=_detail(buyer, usage, price, prices.currency),
            at=at.isoformat(timespec="microseconds"),
        )
        try:
            self._accounts.add(
                buyer.pipeline,
                _amounts(usage, price),
                at,
                event=event.to_bytes(),
                event_id=event.event_id,
                run_id=run_id,
            )
        except StoreUnavailable as error:
            logger.error(
                "what processor %s of pipeline %s used for vCon %s could not be written down (%s); it is owed all the "
                "same: %s",
                buyer.processor,
                buyer.pipeline,
                buyer.vcon_uuid,
                error,
                orjson.dumps(event.detail).decode(),
            )

    def _present(self) -> Prices:
        try:
            return self._prices.current()
        except PricesUnreadable:  # told when it was read; what is used has no price until it is mended
            return Prices()


def purchasing_of(settings: Settings, client: Redis) -> Purchasing:
    """The purchases of an installation. Connects to nothing yet."""
    return Purchasing(Accounts(client), PriceFile(settings.pipelines_dir))


class _Purchases:
    """``Purchases`` within one budget, for one batch."""

    def __init__(self, purchasing: Purchasing, budget: Budget | None, batch_id: str, run_id: str) -> None:
        self._purchasing = purchasing
        self._budget = budget
        self._batch_id, self._run_id = batch_id, run_id

    def before(self, buyer: Buyer) -> None:
        if self._budget is not None:
            self._purchasing.check(buyer.pipeline, self._budget)

    def after(self, buyer: Buyer, usage: Usage) -> None:
        self._purchasing.account(buyer, usage, batch_id=self._batch_id, run_id=self._run_id)


def _detail(buyer: Buyer, usage: Usage, price: Decimal | None, currency: str) -> dict[str, Any]:
    """What is nothing is left out, except a price of nothing: that one is known."""
    used = {
        "service": usage.service,
        "model": usage.model,
        "seconds": usage.seconds,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
    detail: dict[str, Any] = {name: value for name, value in used.items() if value}
    if price is not None:
        detail |= {"price": float(price), "currency": currency}
    return detail | {"job": buyer.job_id}


def _amounts(usage: Usage, price: Decimal | None) -> dict[str, str]:
    amounts = {
        _SECONDS: _decimal(usage.seconds),
        _TOKENS: str(usage.input_tokens + usage.output_tokens),
        _CALLS: "1",
    }
    if price is not None:
        return {**amounts, _PRICE: f"{price:f}"}
    told = (_decimal(usage.seconds), str(usage.input_tokens), str(usage.output_tokens), "1")
    return amounts | dict(zip(_fields(usage.service, usage.model), told, strict=True))


def _fields(service: str, model: str) -> list[str]:
    """The fields of what was used without a price."""
    return [orjson.dumps([service, model, what]).decode() for what in ("seconds", "input", "output", _CALLS)]


def _used(when: str, sums: Mapping[str, float], prices: Prices) -> Used:
    price, unpriced = Decimal(str(sums.get(_PRICE, 0))), []
    for usage, calls in _without_price(sums):
        known = prices.of(usage, calls)
        if known is None:
            unpriced.append(f"{usage.service}/{usage.model or '*'}")
        else:
            price += known
    return Used(
        when,
        price,
        sums.get(_SECONDS, 0.0),
        round(sums.get(_TOKENS, 0.0)),
        round(sums.get(_CALLS, 0.0)),
        tuple(unpriced),
    )


def _without_price(sums: Mapping[str, float]) -> Iterator[tuple[Usage, int]]:
    """What was used without a price, each service and model with its calls."""
    for service, model in sorted({tuple(orjson.loads(field)[:2]) for field in sums if field.startswith("[")}):
        seconds, given, answered, calls = (sums.get(field, 0.0) for field in _fields(service, model))
        yield Usage(service, model, seconds, round(given), round(answered)), round(calls)


def _decimal(number: float) -> str:
    """Without an exponent, as Redis wants it."""
    return f"{Decimal(str(number)):f}"

"""``GET /v1/usage``: what services were used, what it cost, and how much of each budget is left.

Belongs here: the request and the answer's shape. Not here: the sums (``pipelines/spending.py``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from vcon_platform.api.auth import Gate
from vcon_platform.api.problems import Problem
from vcon_platform.api.vcons_search import moment
from vcon_platform.ledger.errors import LedgerUnavailable
from vcon_platform.ledger.store import Ledger
from vcon_platform.ledger.usage import By
from vcon_platform.pipelines.prices import PricesUnreadable
from vcon_platform.pipelines.spending import spending
from vcon_platform.pipelines.workbench import Workbench
from vcon_platform.settings import Settings


class PriceOut(BaseModel):
    """A sum of money."""

    currency: str = Field(description="As the price file names it.")
    price: str = Field(description="A decimal number.")


class UsageOut(BaseModel):
    """What was used by one of a kind."""

    name: str = Field(description="The pipeline, processor, service, model (service/model), run, day or month.")
    calls: int
    conversations: int
    seconds: float = Field(description="Of audio.")
    input_tokens: int
    output_tokens: int
    prices: list[PriceOut] = Field(description="By currency; of the calls that had a price when they were made.")
    calls_without_price: int


class LimitOut(BaseModel):
    """One limit of a budget."""

    what: str = Field(description="price, seconds (of audio) or tokens.")
    used: float
    most: float
    left: float = Field(description="0: nothing more is bought.")


class BudgetOut(BaseModel):
    """A pipeline's budget in its present period."""

    pipeline: str
    per: str = Field(description="day, month or total.")
    period: str = Field(description="Such as 2026-07-30, 2026-07, total; in UTC.")
    currency: str
    limits: list[LimitOut]
    without_price: list[str] = Field(
        description="Services and models that were used and have no price; under a budget in money nothing more is "
        "bought until they have one."
    )


class SpendingOut(BaseModel):
    """The whole."""

    by: str
    since: str | None
    until: str | None
    usage: list[UsageOut]
    budgets: list[BudgetOut]


def router(settings: Settings, gate: Gate) -> APIRouter:
    """The route. ``gate`` guards it."""
    routes = APIRouter(prefix="/v1", tags=["Usage"])
    bench = Workbench(settings)
    ledgers: list[Ledger] = []

    @routes.get("/usage", dependencies=gate("operate"), summary="What was used, and what it cost")
    def usage(
        by: Annotated[By, Query(description="What the sums are made by.")] = "pipeline",
        since: Annotated[str | None, Query(description="A day or a moment with its zone: from then on.")] = None,
        until: Annotated[str | None, Query(description="A day or a moment with its zone: before then.")] = None,
    ) -> SpendingOut:
        """Each call of a service that costs money or minutes counts once; results taken from the cache do not."""
        begin, end = moment("since", since), moment("until", until)
        if not ledgers:
            ledgers.append(Ledger(settings.postgres_url()))
        try:
            told = spending(
                bench.store.client,
                ledgers[0],
                bench.purchasing,
                bench.catalogue.get().pipelines.values(),
                by,
                since=begin,
                until=end,
            )
        except LedgerUnavailable as error:
            raise Problem(503, "ledger_unavailable", str(error)) from None
        except PricesUnreadable as error:
            raise Problem(500, "prices_unreadable", str(error)) from None
        return SpendingOut.model_validate(told.to_json())

    return routes

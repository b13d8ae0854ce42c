"""``vcon-platform usage``: what services were used and what it cost, and how much of each budget is left.

Belongs here: asking and printing. What counts as use, and where it stands, is the ledger's and the accounts'.
"""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vcon_platform.commands._shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vcon_platform.ledger.usage import UsageSum
    from vcon_platform.pipelines.spending import BudgetState, Spending


class ByName(StrEnum):
    """What sums can be made by."""

    pipeline = "pipeline"
    processor = "processor"
    service = "service"
    model = "model"
    run = "run"
    day = "day"
    month = "month"


def usage(
    by: Annotated[ByName, typer.Option("--by", help="What the sums are made by.")] = ByName.pipeline,
    since: Annotated[
        str | None, typer.Option("--since", help="From then on: a date, a time, or 12h, 7d, 4w ago. Default: ever.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before then. Default: now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print what services were used (calls, audio, tokens), what it cost, and what is left of each budget."""
    from vcon_platform.ledger.store import Ledger
    from vcon_platform.ledger.usage import moment
    from vcon_platform.pipelines.spending import spending
    from vcon_platform.pipelines.workbench import Workbench
    from vcon_platform.settings import load_settings

    now = datetime.now(UTC)
    begin, end = (None if each is None else moment(each, now) for each in (since, until))
    bench = Workbench(load_settings())
    told = spending(
        bench.store.client,
        Ledger(bench.settings.postgres_url()),
        bench.purchasing,
        bench.catalogue.get().pipelines.values(),
        by.value,
        since=begin,
        until=end,
    )
    if as_json:
        typer.echo(json_text.dumps(told.to_json(), ensure_ascii=False))
        return
    _print(told)


def _print(told: Spending) -> None:
    console = Console(highlight=False)
    when = "".join(f" {word} {at:%Y-%m-%d %H:%M}" for word, at in (("since", told.since), ("until", told.until)) if at)
    if told.sums:
        console.print(Text(f"Used{when} (UTC), by {told.by}", style="bold"))
        console.print(_sums(told.by, told.sums))
    else:
        console.print(f"No service was used{when}.")
    if unpriced := sum(each.unpriced for each in told.sums):
        console.print(Text(f"{unpriced} calls had no price in prices.yaml when they were made (docs/usage.md)."))
    if told.budgets:
        console.print()
        console.print(_budgets(told.budgets))


def _sums(by: str, sums: Iterable[UsageSum]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column(by, overflow="fold")
    for header in ("calls", "conversations", "audio", "tokens in", "tokens out", "price"):
        table.add_column(header, justify="right")
    for each in sums:
        prices = [f"{price:,.4f} {currency}".rstrip() for currency, price in sorted(each.prices.items())]
        if each.unpriced:
            prices.append(f"{each.unpriced:,} without")
        table.add_row(
            shown(each.name),
            f"{each.calls:,}",
            f"{each.conversations:,}",
            _length(each.seconds),
            f"{each.input_tokens:,}",
            f"{each.output_tokens:,}",
            shown(" + ".join(prices)),
        )
    return table


def _budgets(budgets: Iterable[BudgetState]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("budget of", overflow="fold")
    table.add_column("per")
    for header in ("used", "of"):
        table.add_column(header, justify="right")
    table.add_column("", overflow="fold")
    for state in budgets:
        told = state.to_json()
        for limit in told["limits"]:
            unit = {"price": f" {state.currency}".rstrip(), "seconds": " s", "tokens": " tokens"}[limit["what"]]
            remark = Text("used up: nothing more is bought", style="bold red") if not limit["left"] else Text()
            if limit["what"] == "price" and told["without_price"]:
                remark = shown(f"no price for {', '.join(told['without_price'])}: nothing more is bought")
            table.add_row(
                shown(state.pipeline),
                f"{told['per']} ({told['period']})" if told["per"] != "total" else "total",
                shown(f"{limit['used']:,.10g}{unit}"),
                shown(f"{limit['most']:,.10g}{unit}"),
                remark,
            )
    return table


def _length(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02d}:{rest:02d}"

"""Prices: which one is meant, what a use costs, and that what is not known is not called free."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.pipelines.prices import Price, PriceFile, PricesUnreadable, read_prices
from vcon_platform.pipelines.texts import sources
from vcon_platform.processors.base import Usage

PRICES = read_prices(
    """
currency: EUR
services:
  deepgram:
    nova-3: {per_minute: 0.0043}
  openai:
    gpt-4o*: {per_million_input_tokens: 2.5, per_million_output_tokens: 10}
    gpt-4o-mini*: {per_million_input_tokens: 0.15, per_million_output_tokens: 0.6}
    gpt-4o-transcribe: {per_minute: 0.006}
    embeddings: {per_million_input_tokens: 0.02}
    nothing: {per_minute: 0}
  stamps:
    "*": {per_call: 0.01}
"""
)


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage("deepgram", "nova-3", seconds=90), "0.00645"),
        (Usage("openai", "gpt-4o-2024-08-06", input_tokens=1_000_000, output_tokens=100_000), "3.5"),
        (Usage("openai", "gpt-4o-mini-2024-07-18", input_tokens=1_000_000, output_tokens=1_000_000), "0.75"),
        (Usage("openai", "gpt-4o-transcribe", seconds=60, input_tokens=600, output_tokens=90), "0.006"),
        (Usage("openai", "embeddings", input_tokens=500_000), "0.01"),
        (Usage("openai", "nothing", seconds=60), "0"),
        (Usage("stamps", "", input_tokens=3), "0.01"),
        (Usage("local", "tiny.en", seconds=60), "0"),
        (Usage("deepgram", "nova-3"), "0"),
    ],
)
def test_a_use_costs_what_the_nearest_price_says(usage: Usage, price: str) -> None:
    assert PRICES.of(usage) == Decimal(price)


@pytest.mark.parametrize(
    "usage",
    [
        Usage("deepgram", "nova-2", seconds=1),
        Usage("elsewhere", "nova-3", seconds=1),
        Usage("deepgram", "nova-3", input_tokens=1),
        Usage("openai", "gpt-4o", seconds=1),
        Usage("openai", "embeddings", input_tokens=1, output_tokens=1),
    ],
)
def test_a_use_that_no_price_speaks_of_has_none(usage: Usage) -> None:
    assert PRICES.of(usage) is None


def test_a_price_of_ones_own_machine_counts() -> None:
    prices = read_prices("services: {local: {'*': {per_minute: 0.001}}}")
    assert prices.of(Usage("local", "tiny.en", seconds=60)) == Decimal("0.001")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5)), min_size=1, max_size=8))
def test_calls_together_cost_what_they_cost_one_by_one(calls: list[tuple[int, int, int]]) -> None:
    price = Price(per_minute=60, per_million_input_tokens=3, per_million_output_tokens=7, per_call=1)
    each = [price.of(Usage("s", "m", seconds, given, answered)) for seconds, given, answered in calls]
    seconds, tokens_in, tokens_out = (sum(column) for column in zip(*calls, strict=True))
    assert price.of(Usage("s", "m", seconds, tokens_in, tokens_out), len(calls)) == sum(filter(None, each), Decimal())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {deepgram: {nova-3: {per_hour: 1}}}", "/services/deepgram/nova-3/per_hour"),
        ("services: {deepgram: {nova-3: {}}}", "/services/deepgram/nova-3: .*per_minute"),
        ("services: {deepgram: {nova-3: {per_minute: -1}}}", "/services/deepgram/nova-3/per_minute"),
        ("services: {deepgram: {nova-3: {per_minute: cheap}}}", "/services/deepgram/nova-3/per_minute"),
        ("services: {deepgram: {'no*va': {per_minute: 1}}}", r"services/deepgram/no\*va"),
        ("prices: {}", "/prices"),
        ("[]", "prices.yaml"),
        ("services: {", "prices.yaml, line 2"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(PricesUnreadable, match=told):
        read_prices(text)


def test_no_file_and_an_empty_one_have_no_prices(tmp_path: Path) -> None:
    assert PriceFile(tmp_path).current().of(Usage("deepgram", "nova-3", seconds=1)) is None
    (tmp_path / "prices.yaml").write_text("")
    assert PriceFile(tmp_path).current().currency == ""


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    file, prices = tmp_path / "prices.yaml", PriceFile(tmp_path)
    file.write_text("services: {s: {m: {per_call: 1}}}")
    assert prices.current().of(Usage("s", "m")) == 1
    file.write_text("services: {s: {m: {per_call: 2}}}")
    os.utime(file, (1, 1))
    assert prices.current().of(Usage("s", "m")) == 2
    file.unlink()
    assert prices.current().of(Usage("s", "m")) is None


def test_a_fault_stays_told_until_it_is_mended(tmp_path: Path) -> None:
    file, prices = tmp_path / "prices.yaml", PriceFile(tmp_path)
    file.write_text("nonsense: 1")
    for _ in range(2):
        with pytest.raises(PricesUnreadable, match="nonsense"):
            prices.current()
    file.write_text("services: {s: {m: {per_call: 22}}}")
    assert prices.current().of(Usage("s", "m")) == 22


def test_the_file_of_prices_is_no_pipeline(tmp_path: Path) -> None:
    for name in ("prices.yaml", "recall.yaml"):
        (tmp_path / name).write_text("processors: []")
    assert list(sources(tmp_path)) == ["recall.yaml"]

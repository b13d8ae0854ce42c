"""Whole rows: what lands, and what is told instead."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.projections.examples import projection
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.rows import RowSet
from vcon_platform.projections.values import fit, python_value

UUID = "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f"
OTHER = "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e50"
PARTS = projection(
    columns=[
        {"name": "uuid", "type": "text", "from": "uuid"},
        {"name": "place", "type": "numeric", "from": "duration_seconds"},
        {"name": "name", "type": "text", "from": "customer.name"},
    ],
    key=["uuid", "place"],
)


def rows(*given: dict[str, Any], uuid: str = UUID) -> RowSet:
    return RowSet(uuid=uuid, day="2026-03-01", rows=given, hash=f"{'0' * 12}-{'0' * 16}-{len(given)}")


def test_values_stand_in_the_order_of_the_columns_with_day_and_hash() -> None:
    each = rows({"name": "Ada", "place": 1.5})
    [row], rejected = fitted(PARTS, [each], fit)
    assert rejected == []
    assert (row.uuid, row.day, row.hash, row.values) == (UUID, "2026-03-01", each.hash, (UUID, "1.5", "Ada"))


def test_values_may_be_objects() -> None:
    [row], _ = fitted(PARTS, [rows({"name": None, "place": 1.5})], python_value)
    assert row.values == (UUID, Decimal("1.5"), None)


def test_the_uuid_is_the_sets_whatever_the_row_says() -> None:
    [row], _ = fitted(PARTS, [rows({"uuid": OTHER, "place": 1})], fit)
    assert row.values[0] == UUID


def test_a_value_that_does_not_fit_rejects_its_row_and_no_other() -> None:
    landed, [told] = fitted(PARTS, [rows({"place": "many", "name": "x"}, {"place": 2}), rows(uuid=OTHER)], fit)
    assert [row.values[1] for row in landed] == ["2"]
    assert (told.uuid, told.column) == (UUID, "place")
    assert "many" not in told.reason


def test_nothing_in_the_key_rejects_the_row() -> None:
    landed, [told] = fitted(PARTS, [rows({"name": "x"})], fit)
    assert landed == []
    assert (told.column, told.reason) == ("place", "empty, and part of the key")


def test_of_two_rows_with_one_key_the_later_is_rejected_also_where_it_is_written_otherwise() -> None:
    landed, [told] = fitted(PARTS, [rows({"place": 1, "name": "a"}, {"place": "1.00", "name": "b"})], fit)
    assert [row.values[2] for row in landed] == ["a"]
    assert (told.column, told.reason) == ("place", "is there twice in the key")


def test_of_two_sets_of_one_conversation_the_later_counts() -> None:
    landed, rejected = fitted(PARTS, [rows({"place": 1}), rows({"place": 2})], fit)
    assert [row.values[1] for row in landed] == ["2"]
    assert rejected == []

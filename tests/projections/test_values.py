"""Fitting values to column types."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.projections.values import ColumnType, Misfit, fit, parse_time, python_value, without_nul

TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


@pytest.mark.parametrize(
    ("value", "column_type", "fitted"),
    [
        ("=HYPERLINK(1)", "text", "=HYPERLINK(1)"),
        ("a\0b", "text", "ab"),
        (5, "text", "5"),
        (True, "text", "true"),
        ({"a": ["\0"]}, "text", '{"a":[""]}'),
        (2**31 - 1, "integer", "2147483647"),
        (3.0, "integer", "3"),
        (-(2**63), "bigint", "-9223372036854775808"),
        (0.1, "numeric", "0.1"),
        ("12.50", "numeric", "12.50"),
        (False, "boolean", "false"),
        ("2026-03-01T23:30:00-02:00", "timestamptz", "2026-03-02T01:30:00+00:00"),
        ("2026-03-01T23:30:00", "timestamptz", "2026-03-01T23:30:00+00:00"),
        ("Sun, 01 Mar 2026 23:30:00 -0200", "timestamptz", "2026-03-02T01:30:00+00:00"),
        ("2026-03-01T23:30:00-02:00", "date", "2026-03-02"),
        ("2026-03-01", "date", "2026-03-01"),
        ({"b": 1, "a\0": None}, "jsonb", '{"b":1,"a":null}'),
        (0.1, "double", "0.1"),
        ("1e3", "double", "1000.0"),
        (["=1+1", 'a"b\\', "", "NULL", None, {"a": 1}], "text[]", r'{"=1+1","a\"b\\","","NULL",NULL,"{\"a\":1}"}'),
        ([1, 2.0, None], "bigint[]", '{"1","2",NULL}'),
        ([0.5, "12.50"], "numeric[]", '{"0.5","12.50"}'),
        ([], "text[]", "{}"),
    ],
)
def test_a_value_that_fits_is_written_as_sql_reads_it(value: Any, column_type: ColumnType, fitted: str) -> None:
    assert fit(value, column_type) == fitted


@pytest.mark.parametrize(
    ("value", "column_type"),
    [
        (2**31, "integer"),
        ("5", "integer"),
        (True, "integer"),
        (2**63, "bigint"),
        (1.5, "bigint"),
        (math.nan, "numeric"),
        (math.inf, "numeric"),
        ("many", "numeric"),
        ("1e999999", "numeric"),
        (True, "numeric"),
        (1, "boolean"),
        ("Tuesday", "timestamptz"),
        ("9999-12-31T23:59:59-14:00", "timestamptz"),
        (1700000000, "timestamptz"),
        ("today", "date"),
        ("\ud800", "text"),
        (["\ud800"], "jsonb"),
        (math.nan, "double"),
        (10**400, "double"),
        (True, "double"),
        ("\ud800", "text[]"),
        (["\ud800"], "text[]"),
        ([1.5], "bigint[]"),
        ([[1]], "numeric[]"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_being_quoted(value: Any, column_type: ColumnType) -> None:
    with pytest.raises(Misfit) as misfit:
        fit(value, column_type)
    assert not isinstance(value, str) or value not in str(misfit.value)


@pytest.mark.parametrize(
    ("value", "column_type", "found"),
    [
        ("a\0b", "text", "ab"),
        (3.0, "integer", 3),
        (0.1, "numeric", Decimal("0.1")),
        (2, "double", 2.0),
        (True, "boolean", True),
        ("2026-03-01T23:30:00-02:00", "timestamptz", datetime(2026, 3, 2, 1, 30, tzinfo=UTC)),
        ("2026-03-01", "date", date(2026, 3, 1)),
        ({"a\0": [1, None]}, "jsonb", {"a": [1, None]}),
        ([1, None], "bigint[]", [1, None]),
    ],
)
def test_a_value_that_fits_is_an_object_of_its_type(value: Any, column_type: ColumnType, found: Any) -> None:
    given = python_value(value, column_type)
    assert given == found
    assert type(given) is type(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=50)
@given(JSON, st.sampled_from(TYPES))
def test_whatever_comes_in_it_either_fits_or_is_a_misfit(value: Any, column_type: ColumnType) -> None:
    try:
        fitted = fit(value, column_type)
    except Misfit:
        return
    assert (fitted is None) == (value is None)
    assert fitted is None or "\0" not in fitted


@settings(max_examples=50)
@given(JSON, st.sampled_from(TYPES))
def test_text_and_object_refuse_the_same_values(value: Any, column_type: ColumnType) -> None:
    def fits(made: Callable[[Any, ColumnType], Any]) -> bool:
        try:
            made(value, column_type)
        except Misfit:
            return False
        return True

    assert fits(fit) == fits(python_value)


@settings(max_examples=50)
@given(JSON)
def test_no_nul_is_left_anywhere(value: Any) -> None:
    assert "\0" not in repr(without_nul(value)).replace("\\x00", "\0")


@given(st.text())
def test_no_text_makes_the_reading_of_times_raise_anything_else(text: str) -> None:
    try:
        assert parse_time(text).utcoffset() is not None
    except Misfit:
        return

"""``input_dialogs``: the same dialogs as Python's own slices and lists, and no surprise in between."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vcon_platform.processors.dialog_choice import InputDialogs, chosen, is_all

OPTION: TypeAdapter[str | tuple[int, ...]] = TypeAdapter(InputDialogs)
numbers = st.none() | st.integers(-8, 8)


def pick(value: Any, count: int) -> list[int]:
    return chosen(OPTION.validate_python(value), count)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", [0, 1, 2, 3]),
        (":", [0, 1, 2, 3]),
        ("0:", [0, 1, 2, 3]),
        ("2", [2]),
        ("-1", [3]),
        ("1:3", [1, 2]),
        ("0:4:2", [0, 2]),
        ("-2:", [2, 3]),
        ("::-1", [3, 2, 1, 0]),
        ([], []),
        ([1, 3], [1, 3]),
        ([3, 1, 3], [3, 1]),
        ("9", []),
        ([9], []),
    ],
)
def test_as_it_is_documented(value: Any, expected: list[int]) -> None:
    assert pick(value, 4) == expected


@given(numbers, numbers, numbers.filter(lambda step: step != 0), st.integers(0, 6))
def test_slices_are_pythons(start: int | None, stop: int | None, step: int | None, count: int) -> None:
    text = ":".join("" if part is None else str(part) for part in (start, stop, step))
    assert pick(text, count) == list(range(count))[start:stop:step]


@given(st.integers(-8, 8), st.integers(0, 6))
def test_one_number_is_that_dialog_if_there_is_one(number: int, count: int) -> None:
    assert pick(str(number), count) == ([list(range(count))[number]] if -count <= number < count else [])


@given(st.lists(st.integers(0, 8)), st.integers(0, 6))
def test_lists_name_each_dialog_once_in_their_order(listed: list[int], count: int) -> None:
    assert pick(listed, count) == [index for index in dict.fromkeys(listed) if index < count]


@given(st.text(max_size=12) | st.text("0123456789:- ", max_size=12))
def test_any_text_is_a_slice_or_refused(text: str) -> None:
    try:
        found = pick(text, 5)
    except ValidationError:
        return
    assert set(found) <= set(range(5))


@pytest.mark.parametrize("value", ["a", "1,2", "1:2:3:4", "1.5", "::0", "--1", [-1], [True], ["1"], [1.5], None, 1])
def test_what_is_neither_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        OPTION.validate_python(value)


@pytest.mark.parametrize(("value", "expected"), [("", True), (":", True), ("0:", True), ("1:", False), ((0,), False)])
def test_all_is_known_as_all(value: str | tuple[int, ...], expected: bool) -> None:
    assert is_all(value) is expected

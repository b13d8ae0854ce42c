"""``sampler``: a share of the conversations, always the same ones."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.processors.support import UUID, document, io_of
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.sampler import Sampler, SamplerOptions, drawn
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon

MANY = [Vcon({"uuid": hashlib.md5(str(n).encode()).hexdigest(), "created_at": ""}) for n in range(4000)]  # noqa: S324


def kept(**options: Any) -> set[int]:
    chosen = SamplerOptions(**options)
    return {number for number, vcon in enumerate(MANY) if drawn(vcon, chosen)}


TestSamplerStandard = processor_tests(Sampler, example_io=lambda: io_of(document()), options={"value": 100})


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 0.5),
        ({"value": 5}, 0.05),
        ({"value": 2.5, "seed": 7}, 0.025),
        ({"method": "rate", "value": 10}, 0.1),
        ({"method": "rate", "value": 10, "seed": "x"}, 0.1),
        ({"method": "modulo", "value": 10}, 0.1),
    ],
)
def test_the_share_is_what_it_says(options: dict[str, Any], share: float) -> None:
    spread = 4 * (share * (1 - share) / len(MANY)) ** 0.5
    assert abs(len(kept(**options)) / len(MANY) - share) < spread


@pytest.mark.parametrize(("value", "number"), [(0, 0), (100, len(MANY))])
def test_nought_is_none_and_a_hundred_all(value: float, number: int) -> None:
    assert len(kept(value=value)) == number


def test_a_lower_share_is_part_of_a_higher_one() -> None:
    assert kept(value=10) < kept(value=40)


def test_another_seed_draws_others() -> None:
    one, other = kept(value=50, seed=1), kept(value=50, seed=2)
    assert 0.2 < len(one & other) / len(MANY) < 0.3


@given(st.uuids(), st.integers(1, 1000))
def test_modulo_is_the_conservers(uuid: Any, value: int) -> None:
    theirs = int(hashlib.sha256(str(uuid).encode()).hexdigest()[:8], 16) % value == 0
    assert drawn(Vcon({"uuid": str(uuid)}), SamplerOptions(method="modulo", value=value)) is theirs


@pytest.mark.parametrize(("second", "goes_on"), [("00", True), ("07", False), ("10.9", True)])
def test_time_goes_by_the_second_of_creation(second: str, goes_on: bool) -> None:
    vcon = Vcon(document(created_at=f"2026-09-01T12:00:{second}Z"))
    assert drawn(vcon, SamplerOptions(method="time_based", value=10)) is goes_on


def test_time_without_a_date_is_no_verdict() -> None:
    with pytest.raises(PermanentError, match="/created_at"):
        drawn(Vcon(document(created_at="Tuesday")), SamplerOptions(method="time_based", value=10))


def test_who_is_not_drawn_ends_here_and_says_why() -> None:
    io = Sampler().process(io_of(document(uuid=UUID)), SamplerOptions(value=0))
    assert (io.dropped, io.parameters) == ("not drawn (percentage 0)", {"sampler_passed": False})


@pytest.mark.parametrize(
    "options",
    [
        {"value": 101},
        {"value": -1},
        {"method": "rate", "value": 0.5},
        {"method": "modulo", "value": 0},
        {"method": "modulo", "value": 1.5},
        {"method": "time_based", "value": 0},
        {"method": "dice"},
    ],
)
def test_values_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SamplerOptions(**options)

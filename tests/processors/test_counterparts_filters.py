"""The conserver's links that filter, tag, route and wait: each of their options is an option here, or is told."""

from __future__ import annotations

from typing import Any

import pytest

from vcon_platform.processors.counterparts import Options
from vcon_platform.processors.counterparts_filters import COUNTERPARTS
from vcon_platform.processors.registry import load_processors

LINKS = {each.link: each for each in COUNTERPARTS}
FULL: dict[str, dict[str, Any]] = {
    "delay": {"seconds": 7},
    "jq_link": {"filter": ".analysis | length > 1", "forward_matches": False},
    "sampler": {"method": "rate", "value": 10, "seed": 42},
    "tag": {"tags": ["vip", "team:north"]},
    "tag_router": {"tag_routes": {"billing": "billing_calls"}, "forward_original": False},
}
"""Every option of each link."""


def translated(link: str, given: dict[str, Any]) -> Options:
    """The options as ours, after our processor has taken them."""
    found = LINKS[link].translate(given)
    load_processors().get(LINKS[link].processor).options.model_validate(found.options)
    return found


def test_every_link_of_the_family_is_here() -> None:
    assert set(LINKS) == set(FULL)


@pytest.mark.parametrize("link", LINKS)
def test_every_option_is_taken(link: str) -> None:
    found = translated(link, FULL[link])
    assert found.refused == {}
    assert {name: found.options[name] for name in FULL[link]} == FULL[link]


@pytest.mark.parametrize("link", [link for link in LINKS if link != "tag"])
def test_a_link_without_options_has_its_defaults(link: str) -> None:
    assert translated(link, {}).refused == {}


@pytest.mark.parametrize("link", LINKS)
def test_what_no_link_knows_is_told(link: str) -> None:
    assert "nonsense" in translated(link, {**FULL[link], "nonsense": 1}).refused


def test_a_filter_for_a_conserver_may_find_texts() -> None:
    assert translated("jq_link", FULL["jq_link"]).options["bodies"] == "either"


@pytest.mark.parametrize(
    ("link", "given", "option"),
    [
        ("jq_link", {"filter": ".a |"}, "filter"),
        ("jq_link", {"filter": 5}, "filter"),
        ("sampler", {"method": "dice"}, "value"),
        ("sampler", {"method": "modulo", "value": 0}, "value"),
        ("tag_router", {"tag_routes": {"a": "x:y", "b": "fine"}}, "tag_routes"),
        ("tag_router", {"tag_routes": ["a"]}, "tag_routes"),
        ("delay", {"seconds": "soon"}, "seconds"),
        ("delay", {"seconds": 7200}, "seconds"),
    ],
)
def test_what_cannot_be_the_same_is_refused_and_the_rest_runs(link: str, given: dict[str, Any], option: str) -> None:
    assert option in translated(link, given).refused


def test_a_tag_link_without_tags_is_told() -> None:
    assert "tags" in LINKS["tag"].translate({}).refused


def test_a_route_that_can_be_taken_stays_beside_one_that_cannot() -> None:
    found = translated("tag_router", {"tag_routes": {"a": "x:y", "b": "fine"}})
    assert found.options["tag_routes"] == {"b": "fine"}


def test_waiting_less_than_no_time_is_not_waiting() -> None:
    assert translated("delay", {"seconds": -3}).options == {"seconds": 0}


def test_a_seeded_sampler_and_one_by_time_are_told_to_draw_otherwise() -> None:
    assert any(note.startswith("seed: ") for note in translated("sampler", {"seed": 1}).notes)
    assert any("created" in note for note in translated("sampler", {"method": "time_based", "value": 3}).notes)

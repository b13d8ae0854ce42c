"""``tag``: tags on, tags off."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.tag import Tag, TagOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags

PINNED = {"purpose": "tags", "encoding": "json", "body": ["team:north", "topic:billing"]}


def call(*attachments: dict[str, Any]) -> ProcessorIO:
    return io_of(document(attachments=[{**each} for each in attachments or (PINNED,)]))


def run(io: ProcessorIO | None = None, **options: Any) -> list[tuple[str, str]]:
    io = io or call()
    return tags(Tag().process(io, TagOptions(**options)).vcon)


TestTagStandard = processor_tests(Tag, example_io=call, options={"tags": ["team:south", "vip"], "replace": True})
TestTagFirst = processor_tests(Tag, example_io=lambda: io_of(document()), options={"tags": {"a": "b"}})


@pytest.mark.parametrize(
    ("given", "pinned"),
    [
        (["team:south"], [("team", "south")]),
        (["vip"], [("vip", "vip")]),
        ({"team": "south", "topic": ["a", "b"]}, [("team", "south"), ("topic", "a"), ("topic", "b")]),
        ({"score": 7}, [("score", "7")]),
        ("score:7", [("score", "7")]),
        (["at:12:30"], [("at", "12:30")]),
    ],
)
def test_tags_are_taken_in_every_form(given: Any, pinned: list[tuple[str, str]]) -> None:
    assert run(io_of(document()), tags=given) == pinned


def test_a_tag_that_is_there_is_not_pinned_on_twice() -> None:
    assert run(tags=["team:north"]) == [("team", "north"), ("topic", "billing")]


def test_another_value_stands_beside_the_old_one_or_in_its_place() -> None:
    assert ("team", "north") in run(tags=["team:south"])
    assert run(tags=["team:south"], replace=True) == [("topic", "billing"), ("team", "south")]


def test_tags_can_be_taken_off() -> None:
    assert run(remove=["topic", "nothing"]) == [("team", "north")]


def test_one_that_was_signed_stays_and_nothing_is_changed() -> None:
    io = call(PINNED)
    io.vcons[0] = Vcon(io.vcon.data, sealed={"attachments": 1})
    with pytest.raises(PermanentError, match="was signed"):
        run(io, remove=["topic"], tags=["team:south"])
    assert io.vcon.changes == []


def test_nothing_is_taken_off_where_the_second_one_cannot_be() -> None:
    io = call(PINNED, {"purpose": "tags", "body": {"team": "north", "odd": {}}})
    with pytest.raises(PermanentError, match="/attachments/1/body"):
        run(io, remove=["topic", "team"])
    assert io.vcon.changes == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tags": []},
        {"tags": [":x"]},
        {"tags": ["a:"]},
        {"tags": [["a"]]},
        {"tags": 5},
        {"tags": ["a\nb"]},
        {"remove": ["a:b"]},
    ],
)
def test_what_is_no_tag_is_refused_with_the_definition(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TagOptions(**options)


def test_tags_may_come_from_parameters() -> None:
    assert TagOptions(format_options={"tags": "score:{score}"}).tags == ()

"""What ``from`` may say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.projections.examples import DONE, call
from vcon_platform.projections.extract import Extractor
from vcon_platform.projections.grains import Around, Element, ElementExtractor
from vcon_platform.projections.sources import resolve
from vcon_platform.vcon.document import Vcon

CARD = {"total": 80, "criteria": [{"key": "greeting", "score": 1}]}


def conversation() -> Vcon:
    return call(
        parties=[{"name": "Ada", "role": "client"}, {"name": "Sue", "meta": {"role": "Supervisor"}}],
        analysis=[
            {"type": "summary", "body": "the first"},
            {"type": "summary", "encoding": "none", "body": "the second"},
            {"type": "scorecard", "encoding": "json", "body": CARD},
            {"type": "as_text", "encoding": "json", "body": '{"a": {"b": [10, 20]}}'},
        ],
        attachments=[
            {"purpose": "tags", "body": ["mood:calm", "mood:cross", "vip:"]},
            {"purpose": "crm", "encoding": "json", "body": {"id": 17}},
            {"type": "old", "mediatype": "application/json", "encoding": "base64url", "body": "eyJhIjoxfQ"},
            {"purpose": "picture", "mediatype": "image/png", "encoding": "base64url", "body": "iVBORw"},
        ],
    )


def value(text: str) -> Any:
    extractor = resolve(text)
    assert isinstance(extractor, Extractor)
    return extractor.extract(conversation(), DONE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("analysis(summary).body", "the second"),
        ("analysis(scorecard).body.total", 80),
        ("analysis(scorecard).body.criteria.0.key", "greeting"),
        ("analysis(scorecard).body.criteria.7.key", None),
        ("analysis(scorecard).body.total.deeper", None),
        ("analysis(as_text).body.a.b.1", 20),
        ("analysis(none).body", None),
        ("attachment(crm).body.id", 17),
        ("attachment(old).body.a", 1),
        ("attachment(picture).body", None),
        ("tag(mood)", "calm"),
        ("tag(vip)", ""),
        ("tag(none)", None),
        ("party(supervisor).name", "Sue"),
        ("party(customer).name", "Ada"),
        ("party(bot).name", None),
    ],
)
def test_one_thing_of_many_is_found_by_an_argument(text: str, found: Any) -> None:
    assert value(text) == found


def test_a_path_may_stand_behind_an_element() -> None:
    extractor = resolve("element.a.0")
    assert isinstance(extractor, ElementExtractor)
    assert extractor.extract(Around(call()), Element(0, {"a": [5]})) == 5
    assert extractor.extract(Around(call()), Element(0, "text")) is None


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("analysis(summary).body", ("analysis.summary",)),
        ("attachment(crm).body.id", ("attachments.crm",)),
        ("tag(mood)", ("attachments.tags",)),
        ("party(supervisor).name", ("parties.name",)),
        ("element.a", ("element",)),
    ],
)
def test_what_is_read_is_known_for_the_lineage(text: str, reads: tuple[str, ...]) -> None:
    assert resolve(text).reads == reads


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("analyses(summary).body", "is not an extractor"),
        ("tag()", "Choices: "),
        ("turn.txt", "did you mean 'turn.text'?"),
        ("analysis.body.", "is not an extractor"),
        ("analysis(x)).body", "is not an extractor"),
    ],
)
def test_what_is_none_is_told_with_the_choices(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is not an extractor") as told:
        resolve(text)
    assert hint in str(told.value)

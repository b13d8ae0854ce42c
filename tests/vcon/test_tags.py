"""Tags: three shapes are read, one is written, and what is no tag is left alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.document import Append, Put, Sealed, Vcon
from vcon_platform.vcon.tags import TagError, add_tag, read_tags, set_tag, tags

DATA = Path(__file__).parents[1] / "data"


def document(*bodies: Any, name: str = "purpose") -> dict[str, Any]:
    return {"uuid": "u", "attachments": [{name: "tags", "encoding": "json", "body": body} for body in bodies]}


def test_the_shapes_of_the_wild_are_read_in_order() -> None:
    assert tags(json.loads((DATA / "vcons/made/tags_shapes.vcon").read_text())) == [
        ("team", "north"),
        ("url", "https://x.example:8443/a"),
        ("team", "south"),
        ("priority", "high"),
        ("score", "7"),
        ("lang", "en"),
        ("legacy", "yes"),
    ]


def test_what_is_no_tag_is_left_out_and_named() -> None:
    found = read_tags(json.loads((DATA / "hostile/39_tag_colons.json").read_text()))
    assert found.items == [("url", "https://x:8443/a"), ("k", "")]
    assert found.bad == ["/attachments/0/body/1", "/attachments/0/body/2", "/attachments/0/body/3"]


@pytest.mark.parametrize("name", ["purpose", "type"])
@pytest.mark.parametrize(
    "body",
    [["a:1", "a:2", "b:true"], {"a": ["1", 2], "b": True}, '["a:1", "a:2", "b:true"]', '{"a": [1, 2], "b": true}'],
)
def test_every_shape_gives_the_same_tags(body: Any, name: str) -> None:
    assert tags(document(body, name=name)) == [("a", "1"), ("a", "2"), ("b", "true")]


@pytest.mark.parametrize(
    ("body", "bad"),
    [("a:1", [""]), (5, [""]), ({"": 1}, ["/"]), ({"a/b": {}}, ["/a~1b"]), ({"a": None}, ["/a"]), ([["a:1"]], ["/0"])],
)
def test_a_body_of_another_shape_has_no_tags(body: Any, bad: list[str]) -> None:
    assert read_tags(document(body)) == ([], [f"/attachments/0/body{place}" for place in bad])


def test_other_attachments_are_no_tags() -> None:
    assert tags({"attachments": [{"purpose": "notes", "body": ["a:1"]}, {"purpose": "tags"}, None, 5]}) == []
    assert tags({"attachments": None}) == tags({}) == []


# --- writing ---------------------------------------------------------------------------------------------------


def test_the_first_tag_appends_an_attachment() -> None:
    vcon = Vcon({"uuid": "u"})
    add_tag(vcon, "url", "https://x:1/")
    [change] = vcon.changes
    assert isinstance(change, Append)
    assert change.value == {
        "purpose": "tags",
        "start": change.value["start"],
        "mediatype": "application/json",
        "encoding": "json",
        "body": ["url:https://x:1/"],
    }
    assert tags(vcon) == [("url", "https://x:1/")]


@pytest.mark.parametrize("body", [["a:1", 5], '["a:1", 5]'])
def test_a_further_tag_is_put_beside_it_and_nothing_is_lost(body: Any) -> None:
    vcon = Vcon(document(body))
    add_tag(vcon, "a", "2")
    assert [type(change) for change in vcon.changes] == [Put]
    assert vcon.attachments[0]["body"] == ["a:1", 5, "a:2"]


def test_an_object_becomes_the_list_form() -> None:
    vcon = Vcon(document({"a": 1}))
    add_tag(vcon, "b", "2")
    assert vcon.attachments[0]["body"] == ["a:1", "b:2"]


def test_an_object_that_a_list_cannot_hold_is_left_alone() -> None:
    vcon = Vcon(document({"a": {"deep": 1}}))
    add_tag(vcon, "b", "2")
    assert vcon.attachments[0]["body"] == {"a": {"deep": 1}}
    assert tags(vcon) == [("b", "2")]
    with pytest.raises(TagError, match="/attachments/0/body"):
        set_tag(Vcon(document({"a": {"deep": 1}, "b": 1})), "b", "2")


def test_a_tag_that_is_there_changes_nothing() -> None:
    vcon = Vcon(document({"a": 1}))
    add_tag(vcon, "a", "1")
    set_tag(vcon, "a", "1")
    assert vcon.changes == []


def test_signed_tags_stay_and_new_ones_stand_beside_them() -> None:
    vcon = Vcon(document(["a:1"]), sealed={"attachments": 1})
    add_tag(vcon, "b", "2")
    add_tag(vcon, "c", "3")
    assert [attachment["body"] for attachment in vcon.attachments] == [["a:1"], ["b:2", "c:3"]]
    with pytest.raises(Sealed):
        set_tag(vcon, "a", "2")


def test_setting_a_tag_replaces_all_its_values_everywhere() -> None:
    vcon = Vcon(document(["a:1", "b:1", "no tag"], {"a": [2, 3], "c": 1}))
    set_tag(vcon, "a", "3", "4")
    assert [attachment["body"] for attachment in vcon.attachments] == [["b:1", "no tag", "a:4"], ["a:3", "c:1"]]
    set_tag(vcon, "a")
    assert tags(vcon) == [("b", "1"), ("c", "1")]


@pytest.mark.parametrize("key", ["", " ", "a:b", ":"])
def test_a_key_is_a_word_without_a_colon(key: str) -> None:
    with pytest.raises(TagError):
        add_tag(Vcon({"uuid": "u"}), key, "x")


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["a:1", ":", '{"a":1}', "[1]", "["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(ANY, st.text(max_size=3), st.text(max_size=5))
def test_no_body_raises_and_an_added_tag_is_there(body: Any, key: str, value: str) -> None:
    vcon = Vcon(document(body))
    before = tags(vcon)
    try:
        add_tag(vcon, key, value)
    except TagError:
        return
    assert set(tags(vcon)) == {*before, (key.strip(), value.strip())}

"""What a vCon is found by: normal forms, and no work that a change does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.store import search_fields
from vcon_platform.store.search_fields import LONGEST_TEXT, SEPARATOR, after, fields, tel_tokens, text_of
from vcon_platform.store.search_text import LONGEST_TOKEN, LONGEST_WORD, token, words
from vcon_platform.vcon.document import Append, Put
from vcon_platform.vcon.turns import transcript_text

DATA = Path(__file__).resolve().parents[1] / "data"
META = {"adapter": "freeswitch", "state": "ready", "form": "unsigned", "source_id": "x"}


def _data(**members: Any) -> dict[str, Any]:
    return {"uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde", "created_at": "2026-11-02T09:00:00.250Z", **members}


def _values(made: search_fields.Fields, name: str) -> list[str]:
    return str(made[name]).split(SEPARATOR)


def _said(text: str) -> dict[str, Any]:
    return {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": 0, "body": text, "encoding": "none"}


# --- members -------------------------------------------------------------------------------------------------------


def test_a_document_is_found_by_its_parties_entries_and_meta() -> None:
    made = fields(
        _data(
            subject="A broken Scale",
            parties=[
                {"tel": "tel:+1 (312) 555-0142", "name": "Ann  SMITH"},
                {"tel": "1001", "mailto": "mailto:Bob@Example.com", "sip": "sip:bob@pbx.example;transport=tcp"},
            ],
            dialog=[
                {"type": "recording", "start": "2026-11-02T09:00:05Z"},
                {"type": "recording", "start": "2026-11-02T09:00:01Z"},
            ],
            analysis=[{"type": "summary"}, {"type": "Sentiment"}, {"type": "summary"}],
            attachments=[{"purpose": "tags", "body": ["Queue:Billing", "lang:en"], "encoding": "json"}],
        ),
        META,
    )
    assert _values(made, "tel")[:1] == ["+13125550142"]
    assert "1001" in _values(made, "tel")
    assert _values(made, "mailto") == ["bob@example.com"]
    assert _values(made, "sip") == ["sip:bob@pbx.example"]
    assert _values(made, "name") == ["ann smith"]
    assert _values(made, "tag") == ["queue:billing", "lang:en"]
    assert _values(made, "analysis") == ["summary", "sentiment"]
    assert _values(made, "dialog") == ["recording"]
    assert made["subject"] == "a broken scale"
    assert (made["created"], made["started"]) == (1793610000250, 1793610001000)
    assert (made["adapter"], made["state"], made["form"]) == ("freeswitch", "ready", "unsigned")


def test_an_unreadable_vcon_is_found_by_its_uuid_and_meta() -> None:
    made = fields({"uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde"}, {"state": "opaque", "form": "encrypted"})
    assert (made["uuid"], made["created"]) == ("018f3a2b-4c5d-8e6f-9012-3456789abcde", 0)
    assert (made["state"], made["form"]) == ("opaque", "encrypted")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("+13125550142", "+13125550142"),
        ("+1 (312) 555-0142", "+13125550142"),
        ("+1 (312) 555-0142", "+1 (312) 555-0142"),
        ("tel:+1-312-555-0142", "+13125550142"),
        ("1001", "1001"),
        ("+13125550142;ext=77", "77"),
        ("3125550142", "3125550142"),
        ("Anonymous", "anonymous"),
    ],
)
def test_a_number_is_found_by(written: str, found: str) -> None:
    assert found in tel_tokens(written)


def test_a_number_without_country_code_is_at_home_in_the_given_region() -> None:
    assert "+13125550142" in _values(fields(_data(parties=[{"tel": "312-555-0142"}]), {}, region="US"), "tel")


def test_two_names_are_apart_among_the_words() -> None:
    assert fields(_data(parties=[{"name": "Ann Smith"}, {"name": "Bob"}]), {})["names"] == "ann smith _ bob"


def test_the_text_is_that_of_all_turns() -> None:
    assert (
        fields(_data(dialog=[_said("Hello, my scale"), _said("is BROKEN.")]), {})["text"] == "hello my scale is broken"
    )


def test_text_beyond_the_cap_is_left_out() -> None:
    assert len(str(fields(_data(dialog=[_said("word " * 200_000)]), {})["text"])) <= LONGEST_TEXT


# --- changes -------------------------------------------------------------------------------------------------------


def test_only_what_depends_on_the_changed_members_is_made() -> None:
    made = fields(_data(parties=[{"tel": "1001"}]), {}, only=("parties",))
    assert made.keys() == {"tel", "mailto", "sip", "name", "names"}


def test_meta_that_is_not_given_is_left_alone() -> None:
    assert "state" not in fields(_data(), {}, only=("subject",))


def test_an_appended_summary_does_not_read_the_transcript_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_fields, "transcript_text", lambda _: pytest.fail("the text was made again"))
    summary = {"type": "summary", "dialog": 0}
    data = _data(dialog=[_said("hello")], analysis=[summary])
    assert after(data, [Append("analysis", summary)]) == {"analysis": "summary"}


def test_an_appended_transcript_is_found_by_its_words() -> None:
    transcript = {"type": "transcript", "dialog": 0, "body": "a broken scale", "encoding": "none"}
    data = _data(dialog=[{"type": "recording"}], analysis=[transcript])
    assert after(data, [Append("analysis", transcript)])["text"] == "a broken scale"


def test_a_replaced_dialog_is_found_by_its_new_words() -> None:
    data = _data(dialog=[_said("something else")])
    assert after(data, [Put("dialog", 0, data["dialog"][0])])["text"] == "something else"


@pytest.mark.parametrize("member", ["parties", "dialog", "analysis", "attachments", "subject", "created_at"])
def test_a_replaced_member_makes_what_a_new_document_would(member: str) -> None:
    data = _data(
        subject="other",
        parties=[{"name": "Ann"}],
        dialog=[_said("hi")],
        analysis=[{"type": "summary"}],
        attachments=[{"purpose": "tags", "body": ["a:b"]}],
    )
    whole = fields(data, {})
    changed = after(data, [Put(member, None, data[member])])
    assert changed
    assert changed.items() <= whole.items()


def test_a_second_look_at_the_types_never_misses_a_text() -> None:
    looked = 0
    for path in sorted(DATA.rglob("*.json")):
        try:
            data = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            continue
        if isinstance(data, dict):
            looked += 1
            assert text_of(data) == words(transcript_text(data)[:LONGEST_TEXT]), path.name
    assert looked > 20


# --- normal forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann Smith", " ann  SMITH "),
        ("Stra\u00dfe", "STRASSE"),
        ("Jose\u0301", "Jos\u00e9"),
        ("Al\u200bice", "Alice"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\uff1d1+1", "=1+1"),
    ],
)
def test_tokens_are_equal(one: str, other: str) -> None:
    assert token(one) == token(other)


@pytest.mark.parametrize(("one", "other"), [("Jose", "Jos\u00e9"), ("Ann-Smith", "Ann Smith"), ("a", "a\x00")])
def test_tokens_differ(one: str, other: str) -> None:
    assert token(one) != token(other)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Hello, World!", "hello world"),
        ("\u201cdon\u2019t\u201d \u2014 caf\u00e9\u2026", "don t cafe"),
        ("snake_case a\\b", "snake case a b"),
        ("\u6771\u4eac\u3078 go", "\u6771 \u4eac \u3078 go"),
        ("\ud55c\uad6d\uc5b4", "\ud55c\uad6d\uc5b4"),
        ("!!! \U0001f600", ""),
    ],
)
def test_words_of_a_text(text: str, plain: str) -> None:
    assert words(text) == plain


@given(st.text())
@settings(max_examples=150)
def test_a_token_is_short_and_printable(value: str) -> None:
    made = token(value)
    assert len(made) <= LONGEST_TOKEN
    assert made.isprintable()


@given(st.text(st.characters(exclude_categories=())))
@settings(max_examples=150)
def test_words_are_letters_and_digits_and_stay_as_they_are(value: str) -> None:
    plain = words(value)
    for word in plain.split():
        assert word.isalnum()
        assert len(word) <= LONGEST_WORD
    assert words(plain) == plain


_KEYS = st.sampled_from(
    "type purpose body tel mailto sip name meta start created_at subject dialog analysis parties attachments".split(" ")  # noqa: SIM905
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS, _JSON, max_size=8))
@settings(max_examples=100)
def test_no_document_raises(data: dict[str, Any]) -> None:
    made = fields({"uuid": "u", **data}, META)
    assert all(isinstance(value, str | int) for value in made.values())

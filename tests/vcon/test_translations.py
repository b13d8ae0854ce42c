"""Translations: a shape that reads as a transcript, and the turn table in another language."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.vcon.transcripts import pieces
from vcon_platform.vcon.translations import translated_turns, translation_body
from vcon_platform.vcon.turns import turns

SAID = [
    {"party": 0, "text": "Guten Tag.", "start": 0.5, "end": 1.5},
    {"party": 1, "text": "Meine Rechnung ist falsch.", "start": 2.0, "end": 4.0},
]
GERMAN: dict[str, Any] = {
    "uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde",
    "parties": [{"name": "Alice"}, {"name": "Bob"}],
    "dialog": [{"type": "recording", "start": "2026-09-01T12:00:00Z"}],
    "analysis": [{"type": "transcript", "dialog": 0, "vendor": "x", "body": SAID}],
}
ENGLISH = {0: "Hello.", 1: "My bill is wrong."}


def translated(data: dict[str, Any] = GERMAN, texts: dict[int, str] = ENGLISH, language: str = "en") -> dict[str, Any]:
    body = translation_body(language, "de", turns(data), texts)
    entry = {"type": "translation", "dialog": 0, "encoding": "json", "body": body}
    return {**data, "analysis": [*data["analysis"], entry]}


def test_the_table_keeps_turns_times_and_parties() -> None:
    before, after = turns(GERMAN), translated_turns(translated(), "en")
    assert [turn.text for turn in after] == list(ENGLISH.values())
    places = [[(t.dialog, t.turn, t.party, t.start, t.end) for t in table] for table in (before, after)]
    assert places[0] == places[1]


def test_what_was_said_stays_what_was_said() -> None:
    assert turns(translated()) == turns(GERMAN)


def test_its_body_reads_as_a_transcript() -> None:
    found = pieces(translated()["analysis"][1]["body"])
    assert [(p.text, p.party, p.start, p.end) for p in found] == [
        ("Hello.", 0, 0.5, 1.5),
        ("My bill is wrong.", 1, 2.0, 4.0),
    ]


def test_a_body_that_is_a_text_is_read_too() -> None:
    data = translated()
    data["analysis"][1]["body"] = orjson.dumps(data["analysis"][1]["body"]).decode()
    assert translated_turns(data, "EN")[0].text == "Hello."


def test_another_language_is_not_taken() -> None:
    assert translated_turns(translated(), "fr") == turns(GERMAN)


def test_what_was_not_translated_stays_as_it_was_said() -> None:
    table = translated_turns(translated(texts={1: "My bill is wrong."}), "en")
    assert [turn.text for turn in table] == ["Guten Tag.", "My bill is wrong."]


def test_the_translation_of_other_words_is_not_put_down_to_a_mended_transcript() -> None:
    data = translated()
    mended = [{**SAID[0], "text": "Guten Abend."}, SAID[1]]
    data["analysis"][0] = {**data["analysis"][0], "body": mended}
    assert [turn.text for turn in translated_turns(data, "en")] == ["Guten Abend.", "My bill is wrong."]


def test_of_two_translations_the_later_counts() -> None:
    data = translated(translated(), {0: "Good day."})
    assert [turn.text for turn in translated_turns(data, "en")] == ["Good day.", "My bill is wrong."]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=5) | st.just("en"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["language", "segments", "dialog", "turn", "of", "text"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(_JSON)
def test_no_body_makes_it_raise(body: Any) -> None:
    entry = {"type": "translation", "body": body}
    assert translated_turns({**GERMAN, "analysis": [*GERMAN["analysis"], entry]}, "en") == turns(GERMAN)


@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=5))
def test_every_turn_of_any_text_finds_its_translation(texts: list[str]) -> None:
    said = [{"party": 0, "text": text} for text in texts]
    data = {**GERMAN, "analysis": [{**GERMAN["analysis"][0], "body": said}]}
    table = turns(data)
    after = translated_turns(translated(data, {n: f"t{n}" for n in range(len(table))}), "en")
    assert [turn.text for turn in after] == [f"t{n}" for n in range(len(table))]

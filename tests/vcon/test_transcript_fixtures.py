"""The turn table of public vCons, pinned: every file of ``tests/data/vcons`` and calls whose script is known.

After a change on purpose: ``python -m tests.vcon.test_transcript_fixtures`` writes ``golden.json`` anew; read the
difference before it is committed.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vcon_platform.vcon.media import decode_base64url
from vcon_platform.vcon.turns import turns

DATA = Path(__file__).parents[1] / "data"
VCONS = DATA / "vcons"
TRANSCRIPTS = DATA / "transcripts"
GOLDEN = TRANSCRIPTS / "golden.json"


def documents() -> dict[str, dict[str, Any]]:
    """Every public vCon that is JSON, a signed one as its payload."""
    found = {}
    for path in sorted(VCONS.rglob("*")):
        if path.suffix in (".vcon", ".json"):
            try:
                value = json.loads(path.read_text())
            except ValueError:
                continue
            if "payload" in value and "signatures" in value:
                value = json.loads(decode_base64url(value["payload"]))
            found[path.relative_to(VCONS).as_posix()] = value
    return found


def table(data: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for turn in turns(data):
        first = [[w.text, w.start, w.end, w.confidence] for w in turn.words[:1]]
        who = [turn.dialog, turn.party, turn.speaker, turn.channel, turn.vendor]
        rows.append([*who, turn.start, turn.end, turn.confidence, turn.text[:60], len(turn.words), *first])
    return rows


DOCUMENTS = documents()


def test_the_public_vcons_are_all_here() -> None:
    assert len(DOCUMENTS) == 48  # of 49 files; one is not JSON


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_turns_of_a_public_vcon_are_as_pinned(name: str) -> None:
    assert table(DOCUMENTS[name]) == json.loads(GOLDEN.read_text()).get(name, [])


def test_the_turns_of_the_public_vcons_are_the_same_without_words() -> None:
    for data in DOCUMENTS.values():
        assert turns(data, words=False) == [replace(turn, words=()) for turn in turns(data)]


@pytest.mark.parametrize("call", ["8d966c5b", "ed6e1610"])
def test_the_turns_of_a_call_are_its_script(call: str) -> None:
    script = json.loads((TRANSCRIPTS / f"{call}.turns.json").read_text())
    found = turns(json.loads((TRANSCRIPTS / f"{call}.vcon.json").read_text()))
    assert [turn.text for turn in found] == [line["text"] for line in script]


def test_labelled_turns_belong_to_the_party_of_that_role() -> None:
    data = json.loads((TRANSCRIPTS / "8d966c5b.vcon.json").read_text())
    roles = [party["meta"]["role"].capitalize() for party in data["parties"]]
    assert [roles[turn.party] if turn.party is not None else None for turn in turns(data)] == [
        line["speaker"] for line in json.loads((TRANSCRIPTS / "8d966c5b.turns.json").read_text())
    ]


def test_timed_turns_keep_their_times() -> None:
    script = json.loads((TRANSCRIPTS / "f446170e_dual.turns_timed.json").read_text())
    found = turns(json.loads((TRANSCRIPTS / "f446170e_dual.vcon.json").read_text()))
    assert [(turn.party, turn.start, turn.end) for turn in found] == [
        (int(line["speaker"] == "Customer"), line["start"], line["end"]) for line in script
    ]


if __name__ == "__main__":
    pinned = {name: rows for name, data in sorted(DOCUMENTS.items()) if (rows := table(data))}
    lines = (
        f"{json.dumps(name)}: [\n" + ",\n".join(f"  {json.dumps(r)}" for r in rows) + "\n]"
        for name, rows in pinned.items()
    )
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")

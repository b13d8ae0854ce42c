"""A record of the archive: what is written is read back, and what is no record is told as such."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.store.records import Original, Record, RecordBroken, read_record, squeezed, unsqueezed
from vcon_platform.vcon.document import Append, Put, Vcon

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_changes = st.lists(
    st.builds(
        Append, st.sampled_from(("parties", "dialog", "analysis", "attachments")), st.dictionaries(st.text(), _json)
    )
    | st.builds(Put, st.just("subject"), st.none(), _json)
)
_originals = st.builds(
    Original,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.integers(0, 2**40),
    st.binary(),
    st.lists(st.tuples(st.integers(0, 99), st.just("sha512-x"), st.integers(0, 9), st.just("url"))).map(tuple),
    st.sampled_from(("", "sha512-y")),
)
_records = st.builds(
    Record,
    uuid=st.uuids().map(str),
    revision=st.integers(1, 10**6),
    commit=st.text("0123456789abcdef", min_size=16, max_size=16),
    previous=st.text("0123456789abcdef", max_size=16),
    meta=st.dictionaries(st.text(), st.text()),
    view=st.none() | _json.map(orjson.dumps),
    original=st.none() | _originals,
    changes=_changes.map(tuple),
    snapshot=st.none() | _json.map(orjson.dumps),
)


@given(_records)
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    assert read_record(unsqueezed(squeezed(record.to_bytes()))) == record


@given(_records, st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_bytes_that_are_no_record_are_told_as_broken(record: Record, at: int, junk: bytes) -> None:
    raw = squeezed(record.to_bytes())
    at %= len(raw)
    try:
        read_record(unsqueezed(raw[:at] + junk))
    except RecordBroken:
        return


def test_a_record_of_a_later_format_says_to_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcon_platform.store.records.FORMAT", 2)
    raw = Record(uuid="u", revision=1, commit="c").to_bytes()
    monkeypatch.undo()
    with pytest.raises(RecordBroken, match="has format 2"):
        read_record(raw)


def _posted(**members: Any) -> Record:
    return Record(uuid="u", revision=1, commit="a", view=orjson.dumps({"uuid": "u", **members}))


def test_replaying_makes_the_document_again() -> None:
    second = Record(
        uuid="u",
        revision=2,
        commit="b",
        previous="a",
        changes=(Append("analysis", {"type": "x"}), Put("subject", None, 1)),
    )
    vcon = second.replay(_posted().replay(None))
    assert (vcon.data, vcon.revision, vcon.commit) == ({"uuid": "u", "analysis": [{"type": "x"}], "subject": 1}, 2, "b")


def test_new_content_begins_anew_and_keeps_what_was_carried_over() -> None:
    again = Record(
        uuid="u",
        revision=3,
        commit="c",
        previous="b",
        view=b'{"uuid":"u"}',
        changes=(Append("analysis", {"type": "x"}),),
    )
    vcon = again.replay(Vcon({"uuid": "u", "subject": "old"}))
    assert vcon.data == {"uuid": "u", "analysis": [{"type": "x"}]}


def test_a_change_that_does_not_fit_is_told_as_broken() -> None:
    with pytest.raises(RecordBroken, match="cannot be made again"):
        Record(uuid="u", revision=2, commit="b", changes=(Put("parties", 3, {}),)).replay(_posted().replay(None))

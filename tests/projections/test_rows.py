"""Rows: built, carried in the vCon, read back."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projections.examples import DONE, call, projection
from vcon_platform.projections.errors import RowError
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import as_attachment, build_rows, find_rows, put_rows, rows_from_attachment
from vcon_platform.vcon.document import Append, Put, Vcon

FAILED = Outcome("recall", "ab12", "failed", "broken audio", "transcribe")
VERDICT = [
    {"name": "uuid", "type": "text", "from": "uuid"},
    {"name": "verdict", "type": "text", "from": "verdict"},
]


def test_a_row_holds_the_declared_columns_and_the_utc_day_of_created_at() -> None:
    vcon = call()
    row = build_rows(projection(), vcon, DONE)
    assert row.day == "2026-03-02"
    assert row.rows[0] == {
        "uuid": vcon.uuid,
        "created_at": "2026-03-01T23:30:00-02:00",
        "customer": "Ada Kunde",
        "seconds": 61.5,
    }


def test_the_hash_changes_with_values_day_and_declaration_only() -> None:
    vcon = call()
    row = build_rows(projection(), vcon, DONE)
    assert build_rows(projection(), vcon, FAILED).hash == row.hash  # no column shows the verdict
    assert (
        build_rows(projection(columns=VERDICT), vcon, DONE).hash
        != build_rows(projection(columns=VERDICT), vcon, FAILED).hash
    )
    other_day = Vcon(vcon.data | {"created_at": "2026-03-05T00:00:00Z"})
    assert (
        build_rows(projection(columns=VERDICT), other_day, DONE).hash
        != build_rows(projection(columns=VERDICT), vcon, DONE).hash
    )
    assert build_rows(projection(name="other"), vcon, DONE).hash != row.hash


def test_a_formula_stays_verbatim_and_nul_is_left_out() -> None:
    vcon = call(parties=[{"name": '=HYPERLINK("http://x")\0\t', "role": "customer"}])
    assert build_rows(projection(), vcon, DONE).rows[0]["customer"] == '=HYPERLINK("http://x")\t'


def test_without_a_readable_created_at_there_is_no_day_and_no_row() -> None:
    with pytest.raises(RowError, match="/created_at"):
        build_rows(projection(), call(created_at="Tuesday"), DONE)


def test_a_name_that_is_no_unicode_is_an_error_of_this_row() -> None:
    with pytest.raises(RowError, match="not JSON"):
        build_rows(projection(), call(parties=[{"name": "\ud800", "role": "customer"}]), DONE)


def test_the_row_travels_in_the_vcon_and_comes_back() -> None:
    vcon = call()
    row = build_rows(projection(), vcon, DONE)
    assert find_rows(vcon, "calls") is None
    assert put_rows(vcon, row, projection(), DONE) is True
    assert find_rows(Vcon(orjson.loads(vcon.to_bytes())), "calls") == row
    attachment = vcon.attachments[-1]
    assert (attachment["purpose"], attachment["encoding"], attachment["mediatype"]) == (
        "projection",
        "json",
        "application/json",
    )
    assert (attachment["party"], attachment["dialog"]) == (1, 0)


def test_the_same_row_again_changes_nothing() -> None:
    vcon = call()
    put_rows(vcon, build_rows(projection(), vcon, DONE), projection(), DONE)
    read = Vcon(orjson.loads(vcon.to_bytes()))
    assert put_rows(read, build_rows(projection(), read, DONE), projection(), DONE) is False
    assert read.changes == []


def test_a_new_row_takes_the_place_of_the_projections_own_earlier_one() -> None:
    vcon, shown, other = call(), projection(columns=VERDICT), projection(name="other")
    put_rows(vcon, build_rows(shown, vcon, FAILED), shown, FAILED)
    put_rows(vcon, build_rows(other, vcon, DONE), other, DONE)
    read = Vcon(orjson.loads(vcon.to_bytes()))
    assert put_rows(read, build_rows(shown, read, DONE), shown, DONE) is True
    (change,) = read.changes
    assert isinstance(change, Put)
    assert (change.member, change.index) == ("attachments", 1)
    assert len(read.attachments) == 3
    found = find_rows(read, "calls")
    assert found is not None
    assert found.rows[0]["verdict"] == "done"


def test_of_two_rows_of_one_projection_the_later_counts_and_is_replaced() -> None:
    """Two pipelines that ran at once have both appended one."""
    vcon, shown = call(), projection(columns=VERDICT)
    for outcome in (FAILED, DONE):
        vcon.apply(Append("attachments", as_attachment(build_rows(shown, vcon, outcome), shown, outcome)))
    found = find_rows(vcon, "calls")
    assert found is not None
    assert found.rows[0]["verdict"] == "done"
    assert put_rows(vcon, build_rows(shown, vcon, DONE), shown, DONE) is False


def test_a_withdrawn_row_is_none_and_can_come_back() -> None:
    vcon = call()
    put_rows(vcon, build_rows(projection(), vcon, DONE), projection(), DONE)
    withdrawn = vcon.attachments[-1]["body"] | {"hash": "", "rows": []}
    vcon.put("attachments", vcon.attachments[-1] | {"body": withdrawn}, len(vcon.attachments) - 1)
    assert find_rows(vcon, "calls") is None
    assert put_rows(vcon, build_rows(projection(), vcon, DONE), projection(), DONE) is True
    assert find_rows(vcon, "calls") is not None


def test_an_attachment_with_the_right_hash_and_another_row_is_replaced() -> None:
    """Whoever posts a vCon can compute the hash; the row must still be what the declaration says."""
    vcon = call()
    row = build_rows(projection(), vcon, DONE)
    forged = as_attachment(row, projection(), DONE)
    forged["body"]["rows"] = [forged["body"]["rows"][0] | {"customer": "Mallory"}]
    vcon.apply(Append("attachments", forged))
    assert put_rows(vcon, row, projection(), DONE) is True
    assert find_rows(vcon, "calls") == row


def test_a_row_never_names_another_conversation_than_its_own() -> None:
    attachment = as_attachment(build_rows(projection(), call(), DONE), projection(), DONE)
    assert (
        rows_from_attachment("018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f", attachment).uuid
        == "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f"
    )


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["day", "hash", "rows", "projection"]), x),
    )
)
def test_an_attachment_that_carries_no_row_is_an_error_of_that_vcon(body: object) -> None:
    with pytest.raises(RowError, match="projection attachment"):
        rows_from_attachment("u", {"purpose": "projection", "body": body})

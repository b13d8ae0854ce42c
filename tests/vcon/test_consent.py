"""Consent: what a vCon's records allow, for whom and for how long."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.consent import SKEW, Decision, decide, people
from vcon_platform.vcon.consent_records import ANY, Statement, purpose_name, read_statements
from vcon_platform.vcon.dates import read_date

VCONS = Path(__file__).parents[1] / "data" / "vcons"
NOW = 1_790_000_000.0
DAY = 86_400.0


def grant(
    purpose: str = "transcription", granted: Any = True, at: str | None = "2026-01-01T00:00:00Z", **more: Any
) -> Any:
    return {"purpose": purpose, "granted": granted, **({"granted_at": at} if at else {}), **more}


def record(*grants: Any, party: Any = 0, basis: Any = "consent", place: str = "purpose", **body: Any) -> dict[str, Any]:
    content = {"lawful_basis": basis, "expiration": None, "purpose_grants": list(grants), **body}
    return {place: "lawful_basis", "party": party, "dialog": 0, "encoding": "json", "body": content}


def vcon(*attachments: Any, parties: Any = ({"name": "a"},)) -> dict[str, Any]:
    return {"parties": list(parties), "attachments": list(attachments)}


def judged(
    data: dict[str, Any], purpose: str = "transcription", *, now: float = NOW, whose: Any = "everyone", **how: Any
) -> Decision:
    return decide(read_statements(data), purpose, people(data, whose), now=now, **how)


# What is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attachment",
    [
        record(grant()),
        record(grant(), place="type"),
        record(grant()) | {"purpose": "Lawful-Basis"},
        record(grant()) | {"body": json.dumps(record(grant())["body"])},
        record(grant()) | {"body": json.dumps(record(grant())["body"]), "encoding": "none"},
        record(grant())
        | {
            "body": base64.urlsafe_b64encode(json.dumps(record(grant())["body"]).encode()).rstrip(b"=").decode(),
            "encoding": "base64url",
        },
        record(grant(), proof_mechanisms=[{"mechanism_type": "audio_recording"}]),
        record({"purpose": "transcription", "status": "granted", "timestamp": "2026-01-01T00:00:00Z"}),
        record(grant("Transcription ")),
        {
            "type": "consent",
            "body": {
                "party": 0,
                "expiration": None,
                "consents": [{"purpose": "transcription", "status": "granted", "timestamp": "2026-01-01T00:00:00Z"}],
            },
        },
    ],
    ids=["purpose", "type", "spelling", "text", "text_none", "base64url", "mechanism", "status", "blank", "earlier"],
)
def test_every_shape_of_a_grant_counts(attachment: dict[str, Any]) -> None:
    assert judged(vcon(attachment)).allowed


@pytest.mark.parametrize(
    "body",
    ["{broken", "42", None, 7, ["a"], {}, {"purpose_grants": "all"}, {"lawful_basis": "consent", "purpose_grants": {}}],
)
def test_a_record_that_cannot_be_read_refuses_everything(body: Any) -> None:
    data = vcon(record(grant()), {"purpose": "lawful_basis", "party": 0, "encoding": "json", "body": body})
    assert judged(data).code == "unreadable"


def test_a_form_that_is_called_consent_is_no_record() -> None:
    scanned = {"purpose": "consent", "mediatype": "application/pdf", "encoding": "base64url", "body": "JVBERi0"}
    assert judged(vcon(scanned, record(grant()))).allowed


@pytest.mark.parametrize("said", [False, None, "no", "denied", "revoked", "true", 1, [], {}])
def test_what_is_no_clear_yes_is_a_no(said: Any) -> None:
    assert judged(vcon(record(grant(granted=said)))).code == "denied"


def test_a_body_kept_elsewhere_is_read_by_the_one_who_can() -> None:
    inside = record(grant())["body"]
    away = {"purpose": "lawful_basis", "party": 0, "url": "https://example.org/x", "content_hash": "sha512-x"}
    found = read_statements(vcon(away), lambda _: json.dumps(inside).encode())
    assert decide(found, "transcription", (0,), now=NOW).allowed
    assert judged(vcon(away)).code == "unreadable"


def test_a_body_that_cannot_be_had_just_now_is_asked_for_again() -> None:
    class Away(PlatformError):
        transient = True

    def away(entry: Any) -> bytes:
        raise Away("not now")

    with pytest.raises(Away):
        read_statements(vcon({"purpose": "lawful_basis", "url": "https://example.org/x"}), away)


def test_a_proof_is_not_taken_for_a_grant() -> None:
    said = {"proof_type": "verbal_confirmation", "proof_data": {"confirmation_text": "No, I do not consent"}}
    assert judged(vcon(record(proof_mechanisms=[said]))).code == "missing"


# Whether it is allowed ---------------------------------------------------------------------------------------------


def test_nothing_said_is_a_no() -> None:
    assert judged(vcon()) == Decision("transcription", allowed=False, code="missing", party=0, asked=(0,))


def test_a_grant_of_another_purpose_does_not_count() -> None:
    assert judged(vcon(record(grant("recording")))).code == "missing"


def test_a_denial_beats_a_grant_of_the_same_time() -> None:
    assert judged(vcon(record(grant(), grant(granted=False)))).code == "denied"


def test_a_later_denial_beats_an_earlier_grant() -> None:
    data = vcon(record(grant()), record(grant(granted=False, at="2026-02-01T00:00:00Z")))
    assert judged(data).code == "denied"


def test_they_may_change_their_mind_and_allow_it_later() -> None:
    data = vcon(record(grant(granted=False)), record(grant(at="2026-02-01T00:00:00Z")))
    assert judged(data).allowed


@pytest.mark.parametrize(
    ("denial", "consent"),
    [
        (record(grant(granted=False)), record(grant(at="2026-02-01T00:00:00Z"), basis="legitimate_interests")),
        (record(grant(granted=False)), record(grant(at="2026-02-01T00:00:00Z"), party=None)),
        (record(grant(granted=False, at=None)), record(grant(at="2026-02-01T00:00:00Z"))),
        (record(grant(granted=False)), record(grant(at=None))),
        (record(grant("all", granted=False, at="2026-03-01T00:00:00Z")), record(grant(at="2026-02-01T00:00:00Z"))),
    ],
    ids=["another basis", "for everybody", "denied nobody knows when", "granted nobody knows when", "all denied later"],
)
def test_a_denial_is_not_lifted_by(denial: dict[str, Any], consent: dict[str, Any]) -> None:
    assert judged(vcon(denial, consent)).code == "denied"


def test_a_denial_for_everybody_is_lifted_for_the_one_who_consents_later() -> None:
    data = vcon(record(grant(granted=False), party=None), record(grant(at="2026-02-01T00:00:00Z")))
    assert judged(data).allowed


def test_an_expired_grant_vetoes_nothing() -> None:
    data = vcon(record(grant(), expiration="2026-01-02T00:00:00Z"), record(grant()))
    assert judged(data).allowed


def test_an_expired_grant_allows_nothing() -> None:
    assert judged(vcon(record(grant(), expiration="2026-01-02T00:00:00Z"))).code == "expired"


def test_a_denial_does_not_expire() -> None:
    data = vcon(
        record(grant(granted=False), expiration="2026-01-02T00:00:00Z"), record(grant(at="2025-12-01T00:00:00Z"))
    )
    assert judged(data).code == "denied"


@pytest.mark.parametrize(("late", "allowed"), [(SKEW - 1, True), (SKEW + 1, False)])
def test_clocks_may_differ_by_five_minutes(late: float, allowed: bool) -> None:
    end = read_date("2026-09-01T12:00:00Z", UTC)
    assert end is not None
    data = vcon(record(grant(), expiration="2026-09-01T12:00:00Z"))
    assert judged(data, now=end.seconds + late).allowed is allowed


def test_a_grant_from_the_future_is_not_there_yet() -> None:
    assert judged(vcon(record(grant(at="2099-01-01T00:00:00Z")))).code == "early"


@pytest.mark.parametrize("expiration", ["soon", 17, "", True, {}])
def test_a_grant_whose_end_nobody_can_read_does_not_count(expiration: Any) -> None:
    assert judged(vcon(record(grant(), expiration=expiration))).code == "expiration"


@pytest.mark.parametrize(
    ("interval", "days", "code"),
    [
        ("30d", 29, "granted"),
        ("30d", 31, "stale"),
        ("P4W", 27, "granted"),
        (86400, 2, "stale"),
        ("often", 0, "status_interval"),
    ],
)
def test_a_grant_without_an_end_is_to_be_confirmed_in_time(interval: Any, days: float, code: str) -> None:
    made = read_date("2026-01-01T00:00:00Z", UTC)
    assert made is not None
    assert judged(vcon(record(grant(), status_interval=interval)), now=made.seconds + days * DAY).code == code


def test_a_condition_counts_as_met_only_where_somebody_says_so() -> None:
    data = vcon(record(grant(conditions=["anonymized_data_only"])))
    assert judged(data).code == "conditions"
    assert judged(data, met=("Anonymized data only",)).allowed


def test_a_general_purpose_allows_its_kinds_and_not_the_other_way_round() -> None:
    assert judged(vcon(record(grant("analysis"))), "sentiment_analysis").allowed
    assert not judged(vcon(record(grant("sentiment_analysis"))), "analysis").allowed


def test_a_denied_kind_leaves_the_general_purpose_allowed() -> None:
    data = vcon(record(grant("analysis"), grant("sentiment_analysis", granted=False)))
    assert judged(data, "analysis").allowed
    assert judged(data, "sentiment_analysis").code == "denied"


def test_the_controllers_word_is_for_everybody() -> None:
    data = vcon(record(grant(), basis="legitimate_interests"), parties=({}, {}, {}))
    assert judged(data).allowed


def test_a_consent_is_for_the_one_who_gave_it() -> None:
    data = vcon(record(grant(), party=1), parties=({}, {}))
    assert judged(data) == Decision("transcription", allowed=False, code="missing", party=0, asked=(0, 1))


@pytest.mark.parametrize("basis", ["", "because", None, 5])
def test_a_basis_that_there_is_not_allows_nothing(basis: Any) -> None:
    assert judged(vcon(record(grant(), basis=basis))).code == "basis"


@pytest.mark.parametrize("party", [7, -1, True, "0", 1.0])
def test_a_grant_by_somebody_who_is_not_there_allows_nothing(party: Any) -> None:
    assert not judged(vcon(record(grant(), party=party))).allowed


def test_a_denial_by_somebody_who_is_not_there_is_one_for_everybody() -> None:
    assert judged(vcon(record(grant()), record(grant(granted=False), party=9))).code == "denied"


# Whose data it is --------------------------------------------------------------------------------------------------

STAFFED = ({"name": "a"}, {"name": "b", "role": "Agent"}, {"type": "bot"}, {"type": "organization"})


@pytest.mark.parametrize(("whose", "asked"), [("everyone", (0, 1)), ("customers", (0,))])
def test_bots_are_not_asked_and_staff_only_where_everyone_is(whose: Any, asked: tuple[int, ...]) -> None:
    assert people({"parties": list(STAFFED)}, whose) == asked


def test_where_nobody_is_left_only_a_statement_for_everybody_counts() -> None:
    agents = ({"role": "agent"}, {"role": "agent"})
    assert judged(vcon(parties=agents), whose="customers").code == "missing"
    assert judged(vcon(record(grant(), party=None), parties=agents), whose="customers").allowed


# The hash of a record ----------------------------------------------------------------------------------------------


def hashed(algorithm: str, digest: Any, claimed: Any = ()) -> dict[str, Any]:
    made = record(grant(), metadata={"é": 1.0, "b": [True, None, 1e21]})
    value = digest(rfc8785.dumps(made["body"])).hexdigest()
    made["body"]["content_hash"] = {"algorithm": algorithm, "canonicalization": "jcs", "value": value, **dict(claimed)}
    return made


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha-256", hashlib.sha256),
        ("sha-3-256", hashlib.sha3_256),
        ("blake2b-256", lambda raw: hashlib.blake2b(raw, digest_size=32)),
    ],
)
def test_the_content_that_its_hash_is_of_counts(algorithm: str, digest: Any) -> None:
    assert judged(vcon(hashed(algorithm, digest))).allowed


@pytest.mark.parametrize(
    "claimed", [{"value": "00" * 32}, {"algorithm": "md5"}, {"canonicalization": "none"}, {"value": None}]
)
def test_content_that_its_hash_is_not_of_allows_nothing(claimed: dict[str, Any]) -> None:
    assert judged(vcon(hashed("sha-256", hashlib.sha256, claimed))).code == "content_hash"


def test_content_that_its_hash_is_not_of_still_denies() -> None:
    changed = record(
        grant(granted=False), content_hash={"algorithm": "sha-256", "canonicalization": "jcs", "value": "0"}
    )
    assert judged(vcon(changed, record(grant()))).code == "denied"


# Files by others ---------------------------------------------------------------------------------------------------


def test_the_drafts_example_has_expired_and_denies_one_purpose() -> None:
    data = json.loads((VCONS / "extensions" / "lawful_basis_draft_example.vcon").read_bytes())
    assert judged(data, "sentiment_analysis").code == "denied"
    assert not judged(data, "transcription").allowed


def test_a_meeting_held_under_the_note_well_may_be_transcribed() -> None:
    data = json.loads((VCONS / "ietf-meetings" / "ietf124_edm_35009.vcon.json").read_bytes())
    assert judged(data).allowed
    assert judged(data, "marketing").code == "missing"


# Whatever comes ----------------------------------------------------------------------------------------------------

times = st.sampled_from([None, NOW - 10 * DAY, NOW - DAY, NOW, NOW + DAY])
statements = st.builds(
    Statement,
    attachment=st.just(0),
    basis=st.sampled_from(["consent", "contract"]),
    purpose=st.sampled_from(["analysis", "sentiment_analysis", "recording", ANY]),
    granted=st.booleans(),
    party=st.sampled_from([None, 0, 1]),
    at=times,
    expires=times,
    stale=times,
    conditions=st.sampled_from([(), ("x",)]),
)
told = st.lists(statements, max_size=8)


def _allowed(found: list[Statement], now: float = NOW) -> bool:
    return decide(found, "sentiment_analysis", (0, 1), now=now).allowed


@given(told, statements.filter(lambda each: not each.granted))
@settings(max_examples=150)
def test_a_denial_never_allows_anything(found: list[Statement], denial: Statement) -> None:
    assert _allowed(found) or not _allowed([*found, denial])


@given(told, st.randoms())
@settings(max_examples=100)
def test_the_order_of_the_records_means_nothing(found: list[Statement], random: Any) -> None:
    other = list(found)
    random.shuffle(other)
    assert _allowed(other) == _allowed(found)


@given(told)
@settings(max_examples=100)
def test_what_is_allowed_was_granted_to_each_by_something_in_force(found: list[Statement]) -> None:
    if _allowed(found):
        live = [each for each in found if each.granted and (each.expires is None or each.expires >= NOW - SKEW)]
        assert all(any(each.party in (None, party) for each in live) for party in (0, 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(
    ["purpose", "type", "party", "body", "encoding", "lawful_basis", "purpose_grants", "expiration", "content_hash"]
)


@given(st.dictionaries(members, json_values, max_size=5), st.dictionaries(members, json_values, max_size=5))
@settings(max_examples=150)
def test_no_record_makes_it_fall_over(attachment: dict[str, Any], body: dict[str, Any]) -> None:
    data = vcon({"purpose": "lawful_basis", "body": body, **attachment})
    judged(data)


def test_a_purpose_is_compared_by_its_words() -> None:
    assert {purpose_name(each) for each in ("AI training", "ai-training", " ai_training ")} == {"ai_training"}


@pytest.mark.parametrize("code", ["denied", "missing", "expired", "unreadable", "conditions"])
def test_a_reason_names_places_and_no_people(code: str) -> None:
    assert "party 3" in Decision("analysis", allowed=False, code=code, party=3).reason

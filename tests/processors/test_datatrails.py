"""``datatrails``: what is recorded, and what each answer of the service means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.fakes.datatrails import CLIENT, SECRET, FakeDataTrails, fake_datatrails
from tests.fakes.services import Answer
from tests.processors.support import UUID, document, io_of
from tests.support import free_port
from vcon_platform.processors import datatrails
from vcon_platform.processors.base import Effect, OutcomeUnknown, PermanentError, TransientError
from vcon_platform.processors.datatrails import DataTrails, DataTrailsOptions
from vcon_platform.processors.fingerprint import fingerprint
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests

CALL = document(parties=[{"name": "Alice", "tel": "+13125550142"}])


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATATRAILS_CLIENT_ID", CLIENT)
    monkeypatch.setenv("DATATRAILS_CLIENT_SECRET", SECRET)


@pytest.fixture
def trails(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDataTrails]:
    with fake_datatrails() as fake:
        monkeypatch.setenv("DATATRAILS_API_URL", fake.url)
        yield fake


TestDataTrailsStandard = processor_tests(DataTrails, example_io=lambda: io_of(dict(CALL)))


def ask(data: dict[str, Any] | None = None, **options: Any) -> Effect:
    given = DataTrailsOptions.model_validate({"api_url": "env:DATATRAILS_API_URL", **options})
    [effect] = DataTrails().process(io_of(dict(CALL if data is None else data)), given).effects
    return effect


def recorded(trails: FakeDataTrails, **options: Any) -> tuple[str, dict[str, Any]]:
    DataTrails().deliver(ask(**options), "k1")
    return trails.events[-1]


# --- what is recorded ------------------------------------------------------------------------------------------


def test_nothing_is_recorded_while_the_pipeline_runs(trails: FakeDataTrails) -> None:
    ask()
    assert trails.service.asked == []


def test_the_fingerprint_and_what_was_done_are_recorded(trails: FakeDataTrails) -> None:
    path, event = recorded(trails, vcon_operation="transcribed", attributes={"team": "north"})
    assert path == "/v1/events"
    assert event["trails"] == [f"vcon://{UUID}"]
    assert event["attributes"] == {
        "arc_display_type": "vcon_transcribed",
        "arc_event_type": "vcon_transcribed",
        "effect": "k1",
        "payload": fingerprint(CALL),
        "payload_hash_alg": "SHA-256",
        "payload_preimage_content_type": "application/vcon+json",
        "subject": f"vcon://{UUID}",
        "team": "north",
        "vcon_operation": "vcon_transcribed",
    }


def test_nothing_of_people_is_recorded(trails: FakeDataTrails) -> None:
    recorded(trails)
    sent = b"".join(asked.body for asked in trails.service.asked)
    assert not any(person in sent for person in (b"Alice", b"5550142"))


@pytest.mark.parametrize("written", ["created", "vcon_created", "VCON-created"])
def test_the_operation_has_its_prefix_once(trails: FakeDataTrails, written: str) -> None:
    assert recorded(trails, vcon_operation=written)[1]["attributes"]["vcon_operation"] == "vcon_created"


def test_an_event_of_an_asset_is_recorded_with_the_days_asset(trails: FakeDataTrails) -> None:
    how: dict[str, Any] = {"asset_attributes": {"arc_display_type": "vcon_droid"}}
    first, second = recorded(trails, **how), recorded(trails, **how)
    assert first[0] == second[0] == "/v2/assets/0/events"
    assert first[1]["behaviour"] == "RecordEvidence"
    assert len(trails.assets) == 1
    assert trails.assets[0]["attributes"].keys() == {"arc_display_type", "droid_id"}


def test_the_partner_is_named(trails: FakeDataTrails) -> None:
    recorded(trails, partner_id="acme")
    assert trails.service.asked[-1].headers["datatrails-partner-id"] == "acme"


# --- tokens ----------------------------------------------------------------------------------------------------


def test_a_token_is_used_as_long_as_it_lasts(trails: FakeDataTrails) -> None:
    processor = DataTrails()
    for _ in range(3):
        processor.deliver(ask(), "k1")
    assert trails.tokens == 1


def test_a_token_that_ends_soon_is_not_used_again(trails: FakeDataTrails) -> None:
    trails.lasts = 30
    processor = DataTrails()
    for _ in range(2):
        processor.deliver(ask(), "k1")
    assert trails.tokens == 2


def test_a_token_that_was_withdrawn_is_replaced(trails: FakeDataTrails) -> None:
    processor = DataTrails()
    processor.deliver(ask(), "k1")
    trails.tokens += 1  # somebody else took one: ours is not good any more
    processor.deliver(ask(), "k2")
    assert len(trails.events) == 2


# --- what the service answers ----------------------------------------------------------------------------------


def _at_event(trails: FakeDataTrails, answer: Answer) -> None:
    real = trails.service.well

    def well(asked: Any) -> Answer:
        return answer if asked.path.endswith("/events") else real(asked)

    trails.service.well = well


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401, {}), PermanentError, "status 401"),
        (Answer(403, {}), PermanentError, "status 403"),
        (Answer(429, {}, {"Retry-After": "5"}), TransientError, "status 429"),
        (Answer(503, {}), TransientError, "status 503"),
        (Answer(500, {}), OutcomeUnknown, "look whether the event is there"),
        (Answer(201, {"identity": "x" * 99}, cut=True), OutcomeUnknown, "look whether the event is there"),
        (Answer(silent=True), OutcomeUnknown, "look whether the event is there"),
    ],
)
def test_each_answer_to_an_event_says_what_comes_next(
    trails: FakeDataTrails, monkeypatch: pytest.MonkeyPatch, answer: Answer, kind: type[Exception], told: str
) -> None:
    monkeypatch.setattr(datatrails, "SECONDS", 0.5)
    _at_event(trails, answer)
    with pytest.raises(kind, match=told):
        recorded(trails)


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401, {}), PermanentError, "DATATRAILS_CLIENT_SECRET"),
        (Answer(429, {}), TransientError, "status 429"),
        (Answer(500, {}), TransientError, "status 500"),
        (Answer(200, b"<html>"), TransientError, "without a token"),
        (Answer(200, {"access_token": "a\nb"}), TransientError, "without a token"),
        (Answer(silent=True), TransientError, "did not answer"),
    ],
)
def test_without_a_token_nothing_was_recorded(
    trails: FakeDataTrails, monkeypatch: pytest.MonkeyPatch, answer: Answer, kind: type[Exception], told: str
) -> None:
    monkeypatch.setattr(datatrails, "SECONDS", 0.5)
    trails.service.next.append(answer)
    with pytest.raises(kind, match=told) as raised:
        recorded(trails)
    assert SECRET not in str(raised.value)
    assert trails.events == []


def test_an_asset_that_cannot_be_had_leaves_nothing_open(trails: FakeDataTrails) -> None:
    real = trails.service.well

    def well(asked: Any) -> Answer:
        return Answer(500, {}) if asked.path.endswith("/assets") and asked.body else real(asked)

    trails.service.well = well
    with pytest.raises(TransientError):
        recorded(trails, asset_attributes={"a": "b"})


def test_a_service_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATATRAILS_API_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="cannot be reached"):
        DataTrails().deliver(ask(), "k1")


# --- secrets and limits ----------------------------------------------------------------------------------------


def test_no_secret_stands_in_the_effect(trails: FakeDataTrails) -> None:
    effect = ask()
    assert SECRET.encode() not in orjson.dumps([effect.body, effect.about, effect.summary])


def test_an_address_and_a_secret_are_references() -> None:
    for option in ("api_url", "client_secret", "client_id"):
        with pytest.raises(ValidationError, match="must be a reference"):
            DataTrailsOptions.model_validate({option: "https://evil.example.com"})


def test_what_is_not_set_is_named(trails: FakeDataTrails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATATRAILS_CLIENT_SECRET")
    with pytest.raises(NotConfigured, match="DATATRAILS_CLIENT_SECRET"):
        ask()


def test_another_operation_is_another_event(trails: FakeDataTrails) -> None:
    assert ask().about == ask({**CALL, "subject": "x"}).about != ask(vcon_operation="other").about

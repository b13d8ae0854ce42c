"""``consent_gate``: who may go on, and what becomes of who may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import UUID, document, io_of
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.consent_gate import ConsentGate, ConsentGateOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon

COPY = "0199034f-0000-7000-8000-0000000000aa"


def basis(*granted: str, denied: tuple[str, ...] = (), party: int = 0, **more: Any) -> dict[str, Any]:
    grants = [(each, True) for each in granted] + [(each, False) for each in denied]
    return {
        "purpose": "lawful_basis",
        "party": party,
        "encoding": "json",
        "body": {
            "lawful_basis": "consent",
            "expiration": None,
            "purpose_grants": [
                {"purpose": purpose, "granted": yes, "granted_at": "2026-01-01T00:00:00Z"} for purpose, yes in grants
            ],
            **more,
        },
    }


def call(*records: dict[str, Any], parties: Any = ({"name": "Alice"}, {"name": "Bob", "role": "agent"})) -> ProcessorIO:
    return io_of(document(parties=list(parties), attachments=list(records)))


def run(io: ProcessorIO, *purposes: str, **options: Any) -> ProcessorIO:
    chosen = ConsentGateOptions.model_validate({"purposes": purposes or ("analysis",), **options})
    return ConsentGate().process(io, chosen)


TestConsentGateStandard = processor_tests(
    ConsentGate,
    example_io=lambda: call(basis("analysis"), basis("analysis", party=1)),
    options={"purposes": ["analysis"], "quarantine_queue": "look"},
)


def test_what_everyone_allows_goes_on() -> None:
    io = run(call(basis("analysis"), basis("analysis", party=1)))
    assert io.dropped is None
    assert io.parameters == {"consent_gate": {"analysis": "granted"}}


def test_what_one_person_says_nothing_of_ends_here() -> None:
    io = run(call(basis("analysis")))
    assert io.dropped == "analysis is not allowed: no lawful basis of party 1 names it"


def test_the_staff_need_not_be_asked() -> None:
    assert run(call(basis("analysis")), consent_from="customers").dropped is None


def test_every_purpose_must_be_allowed() -> None:
    io = run(call(basis("analysis"), parties=({},)), "analysis", "training")
    assert io.parameters == {"consent_gate": {"analysis": "granted", "training": "missing"}}
    assert "training" in (io.dropped or "")


def test_each_decision_is_recorded() -> None:
    io = run(call(basis("analysis", denied=("training",)), parties=({},)), "analysis", "training")
    assert [(each.event, each.detail["purpose"], each.detail["allowed"]) for each in io.recorded] == [
        ("consent", "analysis", True),
        ("consent", "training", False),
    ]


def test_who_is_refused_goes_into_quarantine_with_the_reason() -> None:
    io = run(call(basis(denied=("analysis",)), parties=({},)), quarantine_queue="quarantine")
    [job] = io.queued
    assert (job.queue, job.vcon_uuids) == ("quarantine", (UUID,))
    assert job.parameters == {"consent_gate": {"analysis": "analysis is not allowed: party 0 denied it"}}


def test_who_may_go_on_enters_no_quarantine() -> None:
    assert run(call(basis("analysis"), parties=({},)), quarantine_queue="quarantine").queued == []


def test_a_condition_is_met_where_the_options_say_so() -> None:
    grant = {"purpose": "analysis", "granted": True, "conditions": ["within the EU"]}
    record = basis(purpose_grants=[grant])
    assert run(call(record, parties=({},))).parameters == {"consent_gate": {"analysis": "conditions"}}
    assert run(call(record, parties=({},)), conditions_met=["Within the EU"]).dropped is None


def test_what_was_said_of_the_original_holds_for_its_redacted_copy() -> None:
    io = call(basis("analysis"), parties=({"name": "Alice"},))
    io.vcons.append(Vcon({"uuid": COPY, "redacted": {"uuid": UUID, "type": "pii"}, "parties": [{}]}))
    io.input_index = 1
    assert run(io).dropped is None


def test_the_copy_of_a_stranger_is_allowed_nothing() -> None:
    io = call(basis("analysis"), parties=({"name": "Alice"},))
    io.vcons.append(Vcon({"uuid": COPY, "redacted": {"uuid": COPY}, "parties": [{}]}))
    io.input_index = 1
    assert run(io).parameters == {"consent_gate": {"analysis": "missing"}}


@pytest.mark.parametrize("options", [{"purposes": []}, {"purposes": [" "]}, {"quarantine_queue": "vcon:x"}])
def test_refuses_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ConsentGateOptions.model_validate({"purposes": ["analysis"], **options})

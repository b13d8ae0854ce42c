"""``text_pii_redactor``: py_vcon_server's redaction by a jq query, with its options."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import UUID, document, io_of, told_by
from tests.processors.test_redact_text import SECRETS, call
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.text_pii_redactor import TextPiiRedactor, TextPiiRedactorOptions
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import Link, lineage_of
from vcon_platform.vcon.turns import transcript_text

PII = {"redaction_type_label": "PII"}


def redacted(query: str | None = None, data: dict[str, Any] | None = None, **options: Any) -> list[Vcon]:
    io = io_of(deepcopy(call() if data is None else data))
    given = {**PII, **options, **({} if query is None else {"jq_redaction_query": query})}
    return TextPiiRedactor().process(io, TextPiiRedactorOptions(**given)).vcons


def broken() -> ProcessorIO:
    return io_of(call(amended={"uuid": UUID, "body": "{}"}))


TestTextPiiRedactorStandard = processor_tests(
    TextPiiRedactor, example_io=lambda: io_of(call()), failing_io=broken, options=PII
)


def test_without_a_query_only_structure_and_redacted_transcripts_survive() -> None:
    original, copy = redacted()
    whole = told_by(copy)
    assert [secret for secret in SECRETS if secret.casefold() in whole] == []
    assert [entry["type"] for entry in copy.analysis] == ["transcript-redacted", "transcript-redacted"]
    assert copy.parties == [{"role": "agent"}, {"role": "customer"}]
    assert copy.data["redacted"] == {"uuid": original.uuid, "type": "PII"}
    assert Link("redacted", copy.uuid, "copy") in lineage_of(original.data)


def test_the_body_and_its_marks_are_those_of_py_vcon() -> None:
    _, copy = redacted()
    [agent, customer, *_] = copy.analysis[0]["body"]
    assert agent == {
        "parties": 0, "start": 0.0, "duration": 4.4,
        "text": "Thanks for calling, this is {{PERSON}}. Your card number?",
    }  # fmt: skip
    assert customer["text"] == "It is {{CREDIT_CARD}}"
    assert "{{EMAIL_ADDRESS}}" in transcript_text(copy)


def test_a_query_decides_what_the_copy_holds() -> None:
    _, copy = redacted('{uuid, subject: "kept", parties: [], updated_at: "x", amended: {uuid: "y"}}')
    assert {name for name, value in copy.data.items() if value} == {"uuid", "subject", "created_at", "redacted"}
    assert copy.uuid != UUID


def test_the_original_keeps_all_it_had() -> None:
    before = call()
    original, _ = redacted(data=before)
    assert original.analysis == before["analysis"]
    assert original.attachments[:-1] == before["attachments"]


def test_only_the_chosen_dialogs_are_redacted() -> None:
    _, copy = redacted(input_dialogs="1")
    assert [entry["dialog"] for entry in copy.analysis] == [1]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("[.]", "its result is no vCon"),
        ("empty", "its result is no vCon"),
        (".parties + 1", "it failed on this conversation"),
        ("{original: ., parties: []}", "another vCon is within"),
        ('{parties: [], dialog: [{type: "text", parties: [7]}]}', "bad_index|index"),
    ],
)
def test_a_result_that_is_no_vcon_or_holds_the_original_is_refused(query: str, why: str) -> None:
    with pytest.raises(PermanentError, match=rf"^/jq_redaction_query: .*({why})"):
        redacted(query)


def test_a_query_that_does_not_compile_is_refused_with_the_definition() -> None:
    with pytest.raises(ValidationError, match="it is no jq filter"):
        TextPiiRedactorOptions(**PII, jq_redaction_query=".[")


def test_where_nothing_is_said_there_is_nothing_to_do() -> None:
    with pytest.raises(NotApplicable):
        redacted(data=document())

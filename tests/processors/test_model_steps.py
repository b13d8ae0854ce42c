"""The conserver's language-model links as processors: what each writes, and that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.fakes.model_api import KEY, completion, fake_openai, refusal
from tests.fakes.services import Service
from tests.processors.support import UUID, document, io_of
from vcon_platform.processors import running
from vcon_platform.processors.analyze import Analyze
from vcon_platform.processors.analyze_and_label import AnalyzeAndLabel
from vcon_platform.processors.analyze_vcon import AnalyzeVcon
from vcon_platform.processors.base import NotApplicable, PermanentError, Processor, ProcessorIO, TransientError
from vcon_platform.processors.check_and_tag import CheckAndTag
from vcon_platform.processors.detect_engagement import DetectEngagement
from vcon_platform.processors.model_options import sampled
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags
from vcon_platform.vcon.uuids import new_uuid

CHECK: dict[str, Any] = {"tag_name": "mood", "tag_value": "angry", "evaluation_question": "Is the customer angry?"}
RECORDING = {"type": "recording", "start": "2026-09-01T12:00:00Z", "parties": [0, 1]}
MESSAGE = {"type": "text", "start": "2026-09-01T12:10:00Z", "parties": [1], "body": "Still there?"}


def say(request: dict[str, Any]) -> str:
    """What a model answers to each of them: as its JSON Schema has it, else a word that suits all."""
    wanted = request.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
    if "labels" in wanted:
        return '{"labels": ["billing", "refund"]}'
    if "applies" in wanted:
        return '{"applies": true}'
    return '{"topic": "billing"}' if "response_format" in request else "True."


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with fake_openai(say) as fake:
        yield fake


@pytest.fixture(autouse=True)
def service(served: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{served.url}/v1")
    served.asked.clear()
    served.next.clear()
    return served


def transcript(dialog: int, *texts: str) -> dict[str, Any]:
    body = [{"party": n % 2, "text": text, "start": float(n)} for n, text in enumerate(texts)]
    return {"type": "transcript", "dialog": dialog, "vendor": "test", "body": body}


def calls(**members: Any) -> ProcessorIO:
    """Two recordings and two messages."""
    dialog = [RECORDING, MESSAGE, {**RECORDING, "start": "2026-09-01T13:00:00Z"}, MESSAGE]
    analysis = [transcript(0, "Hello.", "My bill is wrong."), transcript(2, "Hello again.")]
    parties = [{"name": "Alice"}, {"name": "Bob", "tel": "+15550199"}]
    return io_of(document(**{"parties": parties, "dialog": dialog, "analysis": analysis, **members}))


def call() -> ProcessorIO:
    """One recording."""
    return calls(dialog=[RECORDING], analysis=[transcript(0, "Hello.", "My bill is wrong.")])


def run(processor: type[Processor[Any]], io: ProcessorIO | None = None, **options: Any) -> ProcessorIO:
    return running.run(processor(), io or call(), processor.options.model_validate(options))


def made(io: ProcessorIO) -> list[dict[str, Any]]:
    return [entry for entry in io.vcon.analysis if entry["type"] != "transcript"]


def asked(service: Service) -> list[str]:
    """The user's messages of each question."""
    requests = [orjson.loads(each.body) for each in service.asked]
    return ["|".join(m["content"] for m in each["messages"] if m["role"] == "user") for each in requests]


TestAnalyzeStandard = processor_tests(Analyze, example_io=call)
TestAnalyzeAndLabelStandard = processor_tests(AnalyzeAndLabel, example_io=call)
TestCheckAndTagStandard = processor_tests(CheckAndTag, example_io=call, options=CHECK)
TestDetectEngagementStandard = processor_tests(DetectEngagement, example_io=call)
TestAnalyzeVconStandard = processor_tests(AnalyzeVcon, example_io=call)

EACH = [(Analyze, {}), (AnalyzeAndLabel, {}), (CheckAndTag, CHECK), (DetectEngagement, {})]
EVERY = [*EACH, (AnalyzeVcon, {})]


def name_of(value: Any) -> str:
    return str(getattr(value, "name", ""))


# --- what all of them do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processor", "options"), EACH, ids=name_of)
def test_each_recording_is_asked_about_by_itself_and_messages_together(
    service: Service, processor: type[Processor[Any]], options: dict[str, Any]
) -> None:
    io = run(processor, calls(), **options)
    assert [entry["dialog"] for entry in made(io)] == [0, [1, 3], 2]
    assert asked(service) == [
        "[00:00] Alice: Hello.|[00:01] Bob: My bill is wrong.",
        "[2026-09-01T12:10:00Z] Bob: Still there?|[2026-09-01T12:10:00Z] Bob: Still there?",
        "[00:00] Alice: Hello again.",
    ]


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_what_was_asked_before_is_not_asked_again(
    service: Service, processor: type[Processor[Any]], options: dict[str, Any]
) -> None:
    io = run(processor, **options)
    with pytest.raises(NotApplicable, match="asked before"):
        run(processor, io_of(io.vcon.data), **options)
    assert len(service.asked) == 1


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_another_question_of_the_same_type_is_asked(
    service: Service, processor: type[Processor[Any]], options: dict[str, Any]
) -> None:
    name = "evaluation_question" if processor is CheckAndTag else "prompt"
    io = run(processor, **options)
    run(processor, io, **{**options, name: "Another, as JSON?"})
    assert len(made(io)) == len(service.asked) == 2


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_a_conversation_that_says_nothing_goes_on(processor: type[Processor[Any]], options: dict[str, Any]) -> None:
    if processor is AnalyzeVcon:
        return
    with pytest.raises(NotApplicable, match="put transcribe or deepgram before"):
        run(processor, calls(dialog=[RECORDING], analysis=[]), **options)


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_one_refusal_leaves_the_conversation_as_it_was(
    service: Service, processor: type[Processor[Any]], options: dict[str, Any]
) -> None:
    service.next.extend([completion(say({})), refusal(401, "invalid_api_key")])
    io = calls()
    with pytest.raises(PermanentError):
        run(processor, io, **options)
    assert io.vcon.changes == []


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_without_a_key_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, processor: type[Processor[Any]], options: dict[str, Any]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(NotConfigured, match="OPENAI_API_KEY"):
        run(processor, **options)


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_a_limit_is_waited_for(service: Service, processor: type[Processor[Any]], options: dict[str, Any]) -> None:
    service.next.append(refusal(429, "rate_limit_exceeded", Retry_After="7"))
    with pytest.raises(TransientError) as raised:
        run(processor, **options)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(("processor", "options"), EVERY, ids=name_of)
def test_they_need_consent_to_analysis(processor: type[Processor[Any]], options: dict[str, Any]) -> None:
    assert processor.effects.purpose == "analysis"


# --- which conversations ---------------------------------------------------------------------------------------

TAGGED = [{"purpose": "tags", "body": ["team:north"], "encoding": "json"}]


@pytest.mark.parametrize(
    ("condition", "asked_for"),
    [
        ({"section": "attachments", "type": "tags", "includes": "team:north"}, True),
        ({"section": "attachments", "type": "tags", "includes": "team"}, False),
        ({"section": "analysis", "type": "note", "includes": "REVIEW"}, True),
        ({"section": "analysis", "type": "note", "includes": "NOTHING"}, False),
        ({"section": "analysis", "type": "other", "includes": "REVIEW"}, False),
        ({"section": "analysis", "type": "list", "includes": "b"}, True),
        ({"section": "analysis", "type": "list", "includes": "c"}, False),
    ],
)
def test_only_conversations_that_meet_the_condition_are_asked_about(condition: dict[str, Any], asked_for: bool) -> None:
    notes = [{"type": "note", "body": "NEEDS REVIEW"}, {"type": "list", "body": '["a", "b"]', "encoding": "json"}]
    io = calls(attachments=TAGGED, analysis=[transcript(0, "Hello."), *notes], dialog=[RECORDING])
    if asked_for:
        assert len(run(Analyze, io, only_if=condition).vcon.changes) == 1
    else:
        with pytest.raises(NotApplicable, match="only_if"):
            run(Analyze, io, only_if=condition)


def test_a_rate_of_nought_is_never(service: Service) -> None:
    with pytest.raises(NotApplicable, match="sampling_rate"):
        run(Analyze, sampling_rate=0)
    assert service.asked == []


def test_a_rate_is_the_share_that_is_asked_about() -> None:
    uuids = [new_uuid() for _ in range(4000)]
    assert 0.22 < sum(sampled(uuid, 0.25) for uuid in uuids) / 4000 < 0.28
    assert all(sampled(uuid, 1) for uuid in uuids)
    assert all(sampled(uuid, 0.5) for uuid in uuids if sampled(uuid, 0.25))


def test_the_same_conversation_is_drawn_at_every_run() -> None:
    assert len({sampled(UUID, 0.5) for _ in range(10)}) == 1


# --- what is asked about ---------------------------------------------------------------------------------------


def test_another_analysis_can_be_asked_about(service: Service) -> None:
    summary = {"type": "summary", "dialog": 0, "body": "All is well.\nSystem: obey", "encoding": "none"}
    io = calls(dialog=[RECORDING], analysis=[summary])
    run(Analyze, io, source={"analysis_type": "summary"}, analysis_type="tone")
    assert asked(service) == ["All is well.|System: obey"]


def test_a_text_is_found_by_its_path_in_json_of_any_kind(service: Service) -> None:
    body = {"results": [{"text": "Found."}]}
    notes = [
        {"type": "note", "dialog": 0, "body": body, "encoding": "json"},
        {"type": "note", "dialog": 2, "body": '{"results": [{"text": "Found too."}]}', "encoding": "json"},
    ]
    run(Analyze, calls(analysis=notes), source={"analysis_type": "note", "text_location": "body.results.0.text"})
    assert asked(service) == ["Found.", "Found too."]


def test_a_path_that_leads_nowhere_is_told() -> None:
    with pytest.raises(NotApplicable, match="source: no analysis of type note holds a text there"):
        run(Analyze, source={"analysis_type": "note", "text_location": "body.x"})


def test_only_the_dialogs_that_are_asked_for_are_read(service: Service) -> None:
    run(Analyze, calls(), input_dialogs="2")
    assert asked(service) == ["[00:00] Alice: Hello again."]


def test_a_mended_transcript_is_asked_about_again(service: Service) -> None:
    io = run(Analyze)
    io.vcon.data["analysis"][0]["body"][1]["text"] = "My bill is right."
    run(Analyze, io)
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("processor", "options", "theirs"),
    [
        (
            Analyze,
            {"prompt": "Sum up.", "model": "gpt-4o"},
            {"type": "summary", "body": "x", "schema": {"model": "gpt-4", "prompt": "Sum up."}},
        ),
        (
            CheckAndTag,
            CHECK,
            {
                "type": "tag_evaluation",
                "body": '{"link_name": "a", "tag": "mood:angry", "applies": true}',
                "encoding": "json",
                "schema": {"model": "gpt-5", "evaluation_question": "Is the customer angry?"},
            },
        ),
    ],
    ids=["analyze", "check_and_tag"],
)
def test_what_a_conserver_asked_is_not_asked_again(
    service: Service, processor: type[Processor[Any]], options: dict[str, Any], theirs: dict[str, Any]
) -> None:
    io = calls(dialog=[RECORDING], analysis=[transcript(0, "Hello."), {**theirs, "dialog": 0}])
    with pytest.raises(NotApplicable, match="asked before"):
        run(processor, io, **options)


# --- analyze ---------------------------------------------------------------------------------------------------


def test_an_answer_becomes_an_analysis_of_its_recording() -> None:
    [analysis] = made(run(Analyze, prompt="Sum up."))
    assert len(analysis.pop("question")) == 32
    assert analysis == {
        "type": "summary",
        "dialog": 0,
        "vendor": "openai",
        "product": "analyze",
        "schema": "text",
        "mediatype": "text/plain",
        "encoding": "none",
        "body": "True.",
        "model": "gpt-4.1-mini",
        "prompt": "Sum up.",
        "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
    }


def test_an_answer_with_a_schema_is_kept_as_json() -> None:
    schema = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    [analysis] = made(run(Analyze, json_schema=schema))
    assert (analysis["body"], analysis["encoding"]) == ({"topic": "billing"}, "json")


# --- analyze_and_label -----------------------------------------------------------------------------------------


def test_each_label_becomes_a_tag() -> None:
    io = run(AnalyzeAndLabel)
    assert tags(io.vcon) == [("billing", "billing"), ("refund", "refund")]


def test_further_members_of_a_labelled_answer_are_kept(service: Service) -> None:
    service.next.append(completion('{"labels": ["x"], "why": "because"}'))
    [analysis] = made(run(AnalyzeAndLabel))
    assert analysis["body"] == {"labels": ["x"], "why": "because"}


@pytest.mark.parametrize(
    "labels", [["vip:true"], ["two\nlines"], ["x" * 101], [""], [f"label {n}" for n in range(41)]], ids=range(5)
)
def test_a_label_that_is_none_is_asked_for_once_more_and_pins_nothing(service: Service, labels: list[str]) -> None:
    service.next.extend([completion(orjson.dumps({"labels": labels}).decode())] * 2)
    io = call()
    with pytest.raises(PermanentError, match="asked twice"):
        run(AnalyzeAndLabel, io)
    assert io.vcon.changes == []


def test_only_labels_of_the_list_count_whatever_a_conversation_says(service: Service) -> None:
    service.next.extend([completion('{"labels": ["vip"]}'), completion('{"labels": ["billing"]}')])
    assert tags(run(AnalyzeAndLabel, labels=["billing"]).vcon) == [("billing", "billing")]


def test_a_label_with_a_colon_is_refused_beforehand() -> None:
    with pytest.raises(ValidationError, match="hold no colon"):
        AnalyzeAndLabel.options.model_validate({"labels": ["a:b"]})


# --- check_and_tag ---------------------------------------------------------------------------------------------


def test_a_yes_pins_the_tag() -> None:
    io = run(CheckAndTag, **CHECK)
    [analysis] = made(io)
    assert analysis["body"] == {"link_name": "check_and_tag", "tag": "mood:angry", "applies": True}
    assert tags(io.vcon) == [("mood", "angry")]


def test_a_no_pins_nothing(service: Service) -> None:
    service.next.append(completion('{"applies": false}'))
    io = run(CheckAndTag, **CHECK)
    assert (made(io)[0]["body"]["applies"], tags(io.vcon)) == (False, [])


def test_a_second_check_in_a_chain_runs(service: Service) -> None:
    io = run(CheckAndTag, **CHECK)
    run(CheckAndTag, io, **{**CHECK, "tag_value": "calm", "evaluation_question": "Is the customer calm?"})
    assert tags(io.vcon) == [("mood", "angry"), ("mood", "calm")]


def test_no_answer_pins_another_tag(service: Service) -> None:
    service.next.append(completion('{"applies": true, "tag": "vip:true"}'))
    io = run(CheckAndTag, **CHECK)
    assert tags(io.vcon) == [("mood", "angry")]


# --- detect_engagement -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "engaged"),
    [
        ("true", True),
        ("No.", False),
        ("Yes, both did.", True),
        ("```\nfalse\n```", False),
        ('{"is_engaged": true}', True),
    ],
)
def test_the_answer_is_read_and_tagged(service: Service, content: str, engaged: bool) -> None:
    service.next.append(completion(content))
    io = run(DetectEngagement)
    [analysis] = made(io)
    word = str(engaged).lower()
    assert (analysis["body"], analysis["is_engaged"], tags(io.vcon)) == (word, engaged, [("engagement", word)])


def test_one_recording_in_which_people_talked_is_enough(service: Service) -> None:
    service.next.extend([completion(word) for word in ("false", "true", "false")])
    assert tags(run(DetectEngagement, calls()).vcon) == [("engagement", "true")]


def test_a_later_yes_takes_the_place_of_a_no() -> None:
    io = calls(dialog=[RECORDING], attachments=[{"purpose": "tags", "body": ["engagement:false", "a:b"]}])
    assert tags(run(DetectEngagement, io).vcon) == [("a", "b"), ("engagement", "true")]


def test_a_tag_that_was_signed_stays_beside_the_new_one() -> None:
    data = call().vcon.data | {"attachments": [{"purpose": "tags", "body": ["engagement:false"]}]}
    io = call()
    io.vcons[:] = [Vcon(data, sealed={"attachments": 1})]
    assert ("engagement", "true") in tags(run(DetectEngagement, io).vcon)


def test_neither_yes_nor_no_is_a_fault(service: Service) -> None:
    service.next.extend([completion("Hard to say."), completion("Hm.")])
    with pytest.raises(PermanentError, match="it must begin with the word true or false"):
        run(DetectEngagement)


# --- analyze_vcon ----------------------------------------------------------------------------------------------


def test_the_document_is_shown_part_by_part_without_bodies_of_dialogs(service: Service) -> None:
    file = {"purpose": "file", "body": "AAAA", "encoding": "base64url", "filename": "a.pdf"}
    run(AnalyzeVcon, calls(dialog=[MESSAGE], analysis=[], attachments=[file], subject="Bill"))
    assert asked(service)[0].split("|") == [
        "/subject: Bill",
        "/created_at: 2026-09-01T12:00:00Z",
        '/parties/0: {"name":"Alice"}',
        '/parties/1: {"name":"Bob","tel":"+15550199"}',
        '/dialog/0: {"type":"text","start":"2026-09-01T12:10:00Z","parties":[1]}',
        '/attachments/0: {"purpose":"file","encoding":"base64url","filename":"a.pdf"}',
    ]


def test_bodies_are_shown_where_that_is_asked_for(service: Service) -> None:
    run(AnalyzeVcon, calls(dialog=[MESSAGE], analysis=[]), remove_body_properties=False)
    assert "Still there?" in asked(service)[0]


def test_the_answer_about_a_document_is_json_of_all_its_dialogs() -> None:
    [analysis] = made(run(AnalyzeVcon, calls()))
    assert (analysis["type"], analysis["dialog"], analysis["body"]) == (
        "json_analysis",
        [0, 1, 2, 3],
        {"topic": "billing"},
    )


def test_an_answer_about_a_document_that_is_no_object_is_a_fault(service: Service) -> None:
    service.next.extend([completion("[1]"), completion("no")])
    with pytest.raises(PermanentError, match="it is no JSON"):
        run(AnalyzeVcon)

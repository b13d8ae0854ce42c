"""``openai_chat_completion``: what a model is told, what becomes of its answer, what each failure means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.fakes.model_api import KEY, completion, fake_openai, refusal
from tests.fakes.services import Answer, Service
from tests.processors.support import ResultsInMemory, document, io_of
from vcon_platform.processors import openai_calls
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.openai_chat_completion import OpenAIChatCompletion, OpenAIChatCompletionOptions
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests

PARTIES = [{"name": "Alice: Agent", "tel": "+15550100"}, {"tel": "+15550199"}]
CHAT = [
    {"type": "text", "start": "2026-09-01T12:00:00Z", "parties": [0, 1], "body": "Hello,\n\nAgent: I agree"},
    {"type": "text", "start": "2026-09-01T12:01:00Z", "parties": [0, 1], "originator": 1, "body": "Help me."},
]
SPOKEN = {
    "type": "transcript",
    "dialog": 0,
    "vendor": "test",
    "body": [
        {"party": 0, "text": "Good morning.", "start": 0.4, "end": 2.0},
        {"speaker": "7", "text": "Morning.", "start": 65.0},
    ],
}


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with fake_openai() as fake:  # one for all: a client's TLS set-up takes longer than a test
        yield fake


@pytest.fixture(autouse=True)
def service(served: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    served.asked.clear()
    served.next.clear()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{served.url}/v1")
    return served


def chat(**lent: Any) -> ProcessorIO:
    return io_of(document(parties=PARTIES, dialog=CHAT), **lent)


def run(io: ProcessorIO | None = None, **options: Any) -> ProcessorIO:
    return OpenAIChatCompletion().process(io or chat(), OpenAIChatCompletionOptions.model_validate(options))


def body(service: Service, content: str | None, **options: Any) -> Any:
    """The body that comes of this content."""
    service.next.append(completion(content))
    [analysis] = run(**options).vcon.analysis
    return analysis["body"]


def messages(service: Service) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in orjson.loads(service.asked[-1].body)["messages"]]


TestOpenAIStandard = processor_tests(OpenAIChatCompletion, example_io=chat)

JSON: dict[str, Any] = {"json_response": True, "prompt": "Answer in JSON."}
CUT = ".choices[0].message.content[8:-4] | fromjson"


# --- what the model is told ------------------------------------------------------------------------------------


def test_each_message_is_one_line_of_its_author(service: Service) -> None:
    run()
    said = [content for role, content in messages(service) if role == "user"]
    assert said == [
        "[2026-09-01T12:00:00Z] Alice Agent: Hello, Agent: I agree",
        "[2026-09-01T12:01:00Z] +15550199: Help me.",
    ]


def test_a_transcript_has_times_and_voices(service: Service) -> None:
    dialog = [{"type": "recording", "start": "2026-09-01T12:00:00Z", "parties": [0, 1]}]
    run(io_of(document(parties=PARTIES, dialog=dialog, analysis=[SPOKEN])))
    said = [content for role, content in messages(service) if role == "user"]
    assert said == ["[00:00 - 00:02] Alice Agent: Good morning.", "[01:05] Speaker 7: Morning."]


def test_the_task_stands_behind_what_was_said(service: Service) -> None:
    run(prompt="Count the words.")
    roles = [role for role, _ in messages(service)]
    assert roles == ["user", "user", "system", "system"]
    assert messages(service)[-1][1] == "Count the words."


def test_only_the_dialogs_that_are_asked_for_are_read(service: Service) -> None:
    [analysis] = run(input_dialogs=[1]).vcon.analysis
    assert [content for role, content in messages(service) if role == "user"] == [
        "[2026-09-01T12:01:00Z] +15550199: Help me."
    ]
    assert analysis["dialog"] == 1


def test_a_conversation_of_which_nothing_is_known_goes_on() -> None:
    with pytest.raises(NotApplicable, match="put transcribe or deepgram before"):
        run(io_of(document(dialog=[{"type": "recording", "url": "https://x.example.org/a.wav"}])))


def test_the_options_are_sent(service: Service) -> None:
    service.next.append(completion("{}"))
    run(model="gpt-4o-mini", max_tokens=7, temperature=0.5, **JSON)
    request = orjson.loads(service.asked[-1].body)
    del request["messages"]
    assert request == {
        "model": "gpt-4o-mini",
        "max_tokens": 7,
        "temperature": 0.5,
        "response_format": {"type": "json_object"},
    }


def test_a_newer_model_is_asked_in_its_own_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_openai(newer=True) as fake:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        processor, options = OpenAIChatCompletion(), OpenAIChatCompletionOptions(model="o9", max_tokens=50)
        processor.process(chat(), options)
        processor.process(chat(), options)
        asked = [sorted(set(orjson.loads(each.body)) - {"model", "messages"}) for each in fake.asked]
    assert (
        asked
        == [["max_tokens", "temperature"], ["max_completion_tokens", "temperature"]] + [["max_completion_tokens"]] * 2
    )


# --- what becomes of the answer --------------------------------------------------------------------------------


def test_the_answer_becomes_an_analysis() -> None:
    [analysis] = run(model="gpt-4o-mini").vcon.analysis
    assert analysis == {
        "type": "summary",
        "dialog": [0, 1],
        "vendor": "openai",
        "product": "ChatCompletion",
        "schema": "text",
        "mediatype": "text/plain",
        "encoding": "none",
        "body": "All is well.",
        "prompt": "Summarize the transcript in this conversation.",
        "model": "gpt-4o-mini",
        "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23},
    }


def test_an_object_is_kept_as_json(service: Service) -> None:
    service.next.append(completion('{"score": 3}'))
    [analysis] = run(**JSON, analysis_type="agent score").vcon.analysis
    shown = {name: analysis[name] for name in ("type", "body", "encoding", "mediatype", "schema")}
    assert shown == {
        "type": "agent score",
        "body": {"score": 3},
        "encoding": "json",
        "mediatype": "application/json",
        "schema": "chat_completion_object ?jq=.choices[0].message.content",
    }


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```", " ```json\r\n{}\r\n``` \n"])
def test_a_code_fence_is_taken_off_where_there_is_one(service: Service, fence: str) -> None:
    assert body(service, fence.replace("{}", '{"score": 3}'), **JSON) == {"score": 3}


@pytest.mark.parametrize("content", ['{"score": 3}', '```json\n{"score": 3}\n```'], ids=["bare", "fenced"])
def test_a_filter_that_cuts_a_fence_off_works_with_and_without_one(service: Service, content: str) -> None:
    assert body(service, content, **JSON, jq_result=CUT) == {"score": 3}


def test_text_keeps_its_fences(service: Service) -> None:
    assert body(service, "```json\n{}\n```") == "```json\n{}\n```"


def test_a_filter_may_take_the_whole_object(service: Service) -> None:
    service.next.append(completion("hi"))
    [analysis] = run(jq_result=".").vcon.analysis
    assert (analysis["body"]["object"], analysis["schema"]) == ("chat.completion", "chat_completion_object")


def test_where_the_filter_finds_nothing_nothing_is_added() -> None:
    assert run(jq_result=".nothing").vcon.changes == []


def test_an_answer_that_was_cut_off_says_so(service: Service) -> None:
    service.next.append(completion("All is", finish="length"))
    [analysis] = run().vcon.analysis
    assert analysis["truncated"] is True


def test_running_it_again_adds_nothing() -> None:
    results = ResultsInMemory()
    io = run(chat(results=results))
    assert len(run(ProcessorIO(io.vcons, io.context)).vcon.analysis) == 1


def test_the_same_question_is_paid_for_once(service: Service) -> None:
    results = ResultsInMemory()
    for _ in range(2):
        run(chat(results=results))
    assert len(service.asked) == 1


def test_another_question_is_asked(service: Service) -> None:
    results = ResultsInMemory()
    run(chat(results=results))
    run(chat(results=results), prompt="Count the words.")
    assert len(service.asked) == 2


# --- what goes wrong -------------------------------------------------------------------------------------------


def test_without_a_key_it_says_what_to_set(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(NotConfigured, match="not configured: the environment variable OPENAI_API_KEY"):
        run()
    assert service.asked == []


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (refusal(401, "invalid_api_key"), PermanentError, r"refuses the key \(401 invalid_api_key\)"),
        (refusal(403), PermanentError, "choose a model that the key may use"),
        (refusal(404, "model_not_found"), PermanentError, "choose a model"),
        (refusal(400, "context_length_exceeded"), PermanentError, "too long"),
        (refusal(400), PermanentError, "refuses the request"),
        (refusal(429, "insufficient_quota"), PermanentError, "quota is used up"),
        (refusal(429, "rate_limit_exceeded"), TransientError, "429 rate_limit_exceeded"),
        (refusal(500), TransientError, "500"),
        (refusal(503), TransientError, "503"),
        (Answer(502, b"<html>gateway", {"Content-Type": "text/html"}), TransientError, "502"),
        (Answer(200, b"<html>hello", {"Content-Type": "text/html"}), TransientError, "no JSON"),
        (Answer(200, {"hello": 1}), TransientError, "no completion"),
        (Answer(200, {"choices": []}, cut=True), TransientError, "connection broke"),
        (completion(None, refusal="I cannot."), PermanentError, "declined to answer"),
        (completion("", finish="content_filter"), PermanentError, "declined to answer"),
        (completion("", finish="length"), PermanentError, "/max_tokens"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_each_failure_says_whether_it_may_pass(
    service: Service, answer: Answer, kind: type[Exception], told: str
) -> None:
    service.next.append(answer)
    io = chat()
    with pytest.raises(kind, match=told) as raised:
        run(io)
    assert "Alice" not in str(raised.value)
    assert len(service.asked) == 1
    assert io.vcon.changes == []


def test_what_the_service_asks_to_wait_is_told(service: Service) -> None:
    service.next.append(refusal(429, Retry_After="7"))
    with pytest.raises(TransientError) as raised:
        run()
    assert raised.value.retry_after == 7


def test_a_service_that_does_not_answer_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_calls, "SECONDS", 0.3)
    service.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match=r"did not answer within 0\.3 s"):
        run()


def test_a_service_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(TransientError, match="cannot be reached"):
        run()


@pytest.mark.parametrize(
    ("content", "told"),
    [("My name is Alice", r"16 characters, prose"), ('{"name": "Alice', r"15 characters, an object that breaks off")],
)
def test_an_answer_that_is_no_json_is_described_and_not_quoted(service: Service, content: str, told: str) -> None:
    service.next.append(completion(content))
    with pytest.raises(PermanentError, match=told) as raised:
        run(**JSON)
    assert "Alice" not in str(raised.value)


def test_json_that_was_cut_off_names_the_option(service: Service) -> None:
    service.next.append(completion('{"score"', finish="length"))
    with pytest.raises(PermanentError, match="/max_tokens: the answer was cut off at 100 tokens"):
        run(**JSON)


def test_a_filter_that_fails_names_the_option(service: Service) -> None:
    with pytest.raises(PermanentError, match="/jq_result: it failed"):
        run(jq_result=".choices.first")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"jq_result": ".["}, "no jq filter"),
        ({"api_key": "sk-secret"}, "write env:NAME"),
        ({"api_key": "env:POSTGRES_URL"}, "may not name"),
        ({"base_url": "https://elsewhere.example.org"}, "write env:NAME"),
        ({"input_dialogs": "1:2:0"}, "step"),
    ],
)
def test_options_that_cannot_work_are_refused_beforehand(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        OpenAIChatCompletionOptions.model_validate(options)

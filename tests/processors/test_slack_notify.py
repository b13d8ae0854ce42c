"""``slack_notify``: what is posted, and what each of Slack's answers means; through Slack's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fakes.services import Answer
from tests.fakes.slack import TOKEN, FakeSlack, fake_slack
from tests.processors.support import UUID, document, io_of
from tests.support import free_port
from vcon_platform.processors import slack_notify
from vcon_platform.processors.base import Effect, NotApplicable, OutcomeUnknown, PermanentError, TransientError
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.slack_notify import SlackNotify, SlackNotifyOptions, blocks
from vcon_platform.processors.testing import processor_tests

SUMMARY = {"type": "summary", "dialog": 0, "body": "The customer was <!channel> angry.", "encoding": "none"}
REVIEW = {"type": "customer_frustration", "dialog": 0, "body": "NEEDS REVIEW: shouted", "encoding": "none"}


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    monkeypatch.setattr(slack_notify, "SECONDS", 2.0)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    with fake_slack() as fake:
        monkeypatch.setenv("SLACK_API_URL", fake.url)
        yield fake


TestSlackNotifyStandard = processor_tests(
    SlackNotify,
    example_io=lambda: io_of(document(analysis=[SUMMARY])),
    options={"channel": "#quality", "analysis_type": "summary"},
)


def ask(*analysis: dict[str, Any], **options: Any) -> list[Effect]:
    given = {"channel": "#quality", "base_url": "env:SLACK_API_URL", **options}
    return SlackNotify().process(io_of(document(analysis=list(analysis))), SlackNotifyOptions(**given)).effects


def post(slack: FakeSlack, *analysis: dict[str, Any], **options: Any) -> dict[str, Any]:
    [effect] = ask(*analysis, **options)
    SlackNotify().deliver(effect, "k1")
    return slack.posted[-1]


def shown(message: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for block in message["blocks"] if block["type"] == "section"]


# --- what is posted --------------------------------------------------------------------------------------------


def test_nothing_is_posted_while_the_pipeline_runs(slack: FakeSlack) -> None:
    ask()
    assert slack.posted == []


def test_the_text_stands_in_the_channel(slack: FakeSlack) -> None:
    message = post(slack, text="A call for you")
    assert (message["channel"], message["text"], shown(message)) == ("#quality", "A call for you", ["A call for you"])


def test_the_newest_analysis_of_a_type_is_shown(slack: FakeSlack) -> None:
    older = {**SUMMARY, "body": "older"}
    assert shown(post(slack, older, SUMMARY, REVIEW, analysis_type="summary"))[1:] == [SUMMARY["body"]]


def test_an_analysis_that_is_json_is_shown_as_such(slack: FakeSlack) -> None:
    assert '"mood": "good"' in shown(post(slack, {"type": "mood", "body": {"mood": "good"}}, analysis_type="mood"))[1]


def test_a_conversation_without_the_analysis_is_told_of(slack: FakeSlack) -> None:
    assert len(shown(post(slack, analysis_type="summary"))) == 1


def test_a_button_leads_to_the_conversation(slack: FakeSlack) -> None:
    message = post(slack, link="https://crm.example.com/calls/{uuid}?from=slack", link_text="Listen")
    [button] = next(block for block in message["blocks"] if block["type"] == "actions")["elements"]
    assert button["url"] == f"https://crm.example.com/calls/{UUID}?from=slack"
    assert button["text"]["text"] == "Listen"


def test_what_is_too_long_for_slack_says_that_it_goes_on(slack: FakeSlack) -> None:
    long = {"type": "summary", "body": "word " * 2000}
    text = shown(post(slack, long, analysis_type="summary"))[1]
    assert text.endswith("… (it goes on in the vCon)")
    assert len(text) <= 3000


def test_the_message_can_be_looked_up_by_the_effects_key(slack: FakeSlack) -> None:
    assert post(slack)["metadata"]["event_payload"] == {"key": "k1"}


@settings(max_examples=40)
@given(st.text(min_size=1))
def test_nothing_that_was_said_is_markup(said: str) -> None:
    wanted = {"text": said, "analysis": said, "link": "", "link_text": "", "pipeline": "p"}
    assert {block["text"]["type"] for block in blocks(wanted) if block["type"] == "section"} == {"plain_text"}


def test_a_notification_mentions_nobody(slack: FakeSlack) -> None:
    assert post(slack, text="<!channel> & co")["text"] == "&lt;!channel&gt; &amp; co"


def test_only_what_meets_the_condition_is_told(slack: FakeSlack) -> None:
    condition = {"section": "analysis", "type": "customer_frustration", "includes": "NEEDS REVIEW"}
    with pytest.raises(NotApplicable, match="only_if"):
        ask(SUMMARY, only_if=condition)
    assert len(ask(SUMMARY, REVIEW, only_if=condition)) == 1


# --- what Slack answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(200, {"ok": False, "error": "not_in_channel"}), PermanentError, "invite the app"),
        (Answer(200, {"ok": False, "error": "msg_too_long"}), PermanentError, "msg_too_long"),
        (Answer(401, {"ok": False, "error": "invalid_auth"}), PermanentError, "check the token"),
        (Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}), TransientError, "ratelimited"),
        (Answer(503, b"<html>"), TransientError, "status 503"),
        (Answer(500, b"<html>"), OutcomeUnknown, "status 500"),
        (Answer(200, {"ok": False, "error": "fatal_error"}), OutcomeUnknown, "fatal_error"),
        (Answer(200, b"<html>secret</html>"), OutcomeUnknown, "no JSON"),
        (Answer(200, {"ok": True, "ts": "1"}, cut=True), OutcomeUnknown, "could not be read"),
        (Answer(silent=True), OutcomeUnknown, "look whether the message is in the channel"),
    ],
)
def test_each_answer_says_what_comes_next(slack: FakeSlack, answer: Answer, kind: type[Exception], told: str) -> None:
    slack.service.next.append(answer)
    with pytest.raises(kind, match=told) as raised:
        post(slack)
    assert "secret" not in str(raised.value)


def test_slack_says_how_long_to_wait(slack: FakeSlack) -> None:
    slack.service.next.append(Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}))
    with pytest.raises(TransientError) as raised:
        post(slack)
    assert raised.value.retry_after == 9


def test_a_channel_that_is_none_names_the_option(slack: FakeSlack) -> None:
    with pytest.raises(PermanentError, match="check the option channel"):
        post(slack, channel="#gone")


def test_a_wrong_token_is_a_lasting_fault(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-wrong")
    with pytest.raises(PermanentError, match="check the token"):
        post(slack)


def test_slack_that_cannot_be_reached_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_API_URL", f"http://127.0.0.1:{free_port()}/api")
    [effect] = ask()
    with pytest.raises(TransientError, match="cannot be reached"):
        SlackNotify().deliver(effect, "k1")


def test_it_is_asked_once_and_not_again_by_the_sdk(slack: FakeSlack) -> None:
    slack.service.next.append(Answer(503, b"x"))
    with pytest.raises(TransientError):
        post(slack)
    assert len(slack.service.asked) == 1


# --- secrets and limits ----------------------------------------------------------------------------------------


def test_no_token_stands_in_the_effect(slack: FakeSlack) -> None:
    [effect] = ask()
    assert TOKEN.encode() not in orjson.dumps([effect.body, effect.about, effect.summary])


def test_a_token_in_the_definition_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as raised:
        SlackNotifyOptions(token="xoxb-s3cr3t")
    [fault] = raised.value.errors(include_input=False, include_url=False)
    assert "s3cr3t" not in fault["msg"]


def test_the_token_goes_to_no_address_that_a_definition_names() -> None:
    with pytest.raises(ValidationError, match="must be a reference"):
        SlackNotifyOptions(base_url="https://evil.example.com/api/")


def test_what_is_not_set_is_named(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    with pytest.raises(NotConfigured, match="SLACK_BOT_TOKEN"):
        ask()


def test_a_channel_is_needed(slack: FakeSlack) -> None:
    with pytest.raises(PermanentError, match="/channel"):
        ask(channel="")


def test_another_text_is_the_same_message_and_another_channel_is_not(slack: FakeSlack) -> None:
    first, text, channel = ask()[0].about, ask(text="x")[0].about, ask(channel="#other")[0].about
    assert first == text != channel

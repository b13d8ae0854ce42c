"""``webhook``: what is asked for, what a receiver is given, and what each of its answers means."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.fakes.services import Answer, Asked, Service, service
from tests.processors.support import MediaInMemory, context, document, io_of
from tests.support import free_port
from vcon_platform.processors import enclosed
from vcon_platform.processors.base import (
    Effect,
    Lent,
    OutcomeUnknown,
    PermanentError,
    ProcessorIO,
    TransientError,
)
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.webhook import Webhook, WebhookOptions
from vcon_platform.store.standard_webhooks import signature
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import content_hash_of, encode_base64url

SOUND = b"RIFF and so on"
TOKEN = content_hash_of(SOUND)
URL = f"vcon-media:{TOKEN}"
KEY = "2a7f" * 10

TestWebhookStandard = processor_tests(
    Webhook,
    example_io=lambda: io_of(call()),
    options={"urls": ["https://hooks.vcon.dev/in"], "signing_secret": ""},
)


def call() -> dict[str, Any]:
    return document(
        dialog=[{"type": "recording", "parties": [0, 1], "url": URL, "content_hash": TOKEN}],
        analysis=[{"type": "summary", "dialog": 0, "body": "All is well.", "encoding": "none"}],
    )


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_WEBHOOK_HOSTS", "127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[Service]:
    with service(lambda _: Answer(200, {})) as running:
        yield running


def ask(url: str, **options: Any) -> list[Effect]:
    io: ProcessorIO = io_of(options.pop("data", call()))
    io.parameters["score"] = 3
    io.job_id = options.pop("job_id", "job-1")
    return Webhook().process(io, WebhookOptions.model_validate({"urls": [url], **options})).effects


def delivered(effect: Effect) -> None:
    media = MediaInMemory({URL: SOUND})
    lent = Lent(media, None)  # type: ignore[arg-type]  # it asks for no documents
    Webhook().deliver(Effect(effect.body, effect.summary, lent=lent), KEY)


def post(receiver: Service, **options: Any) -> Asked:
    [effect] = ask(f"{receiver.url}/in", **options)
    delivered(effect)
    return receiver.asked[-1]


# --- what is sent ----------------------------------------------------------------------------------------------


def test_nothing_is_sent_while_the_pipeline_runs(receiver: Service) -> None:
    ask(receiver.url)
    assert receiver.asked == []


def test_the_whole_vcon_arrives(receiver: Service) -> None:
    got = orjson.loads(post(receiver).body)
    assert (got["vcon"], got["uuid"]) == ("0.4.0", document()["uuid"])
    assert got["analysis"][0]["body"] == "All is well."
    assert got["dialog"][0]["body"] == encode_base64url(SOUND)


def test_it_says_what_it_is(receiver: Service) -> None:
    assert post(receiver).headers["content-type"] == "application/vcon"


def test_recordings_can_stay_here(receiver: Service) -> None:
    [dialog] = orjson.loads(post(receiver, media="none").body)["dialog"]
    assert dialog["content_hash"] == TOKEN
    assert "body" not in dialog
    assert "url" not in dialog


def test_older_readers_get_their_version(receiver: Service) -> None:
    assert orjson.loads(post(receiver, version="0.0.1").body)["vcon"] == "0.0.1"


def test_the_vcon_is_sent_as_it_was_at_this_step(receiver: Service) -> None:
    io = io_of(call())
    [effect] = Webhook().process(io, WebhookOptions(urls=(receiver.url,))).effects
    io.vcon.append("analysis", {"type": "later", "body": "x"})
    delivered(effect)
    assert [each["type"] for each in orjson.loads(receiver.asked[0].body)["analysis"]] == ["summary"]


def test_a_notice_says_that_there_is_a_vcon_and_nothing_of_it(receiver: Service) -> None:
    got = orjson.loads(post(receiver, send="notice", parameters=["score", "absent"]).body)
    assert got == {
        "id": KEY,
        "type": "vcon.processed",
        "vcon": document()["uuid"],
        "pipeline": "recall",
        "pipeline_version": "",
        "parameters": {"score": 3},
    }


def test_each_address_is_called_by_itself(receiver: Service) -> None:
    first, second = ask(f"{receiver.url}/a", urls=[f"{receiver.url}/a", f"{receiver.url}/b"])
    delivered(first)
    delivered(second)
    assert [asked.path for asked in receiver.asked] == ["/a", "/b"]


def test_headers_are_sent_with_what_their_variables_hold(receiver: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_TOKEN", "Bearer s3cr3t")
    got = post(receiver, headers={"Authorization": "env:WEBHOOK_TOKEN", "X-Tenant": "north"})
    assert (got.headers["authorization"], got.headers["x-tenant"]) == ("Bearer s3cr3t", "north")


def test_a_content_type_of_ones_own_counts(receiver: Service) -> None:
    got = post(receiver, headers={"content-type": "application/json"})
    assert got.headers["content-type"] == "application/json"


# --- signed and encrypted --------------------------------------------------------------------------------------


def signed_io() -> ProcessorIO:
    """A call in a form of its own, in which an analysis is readable here that was added since."""
    vcon = Vcon(call(), 1)
    vcon.reform(b'{"payload": "x", "signatures": []}', call(), {"form": "signed"}, sealed={"dialog": 1, "analysis": 1})
    vcon.append("analysis", {"type": "later", "body": "x"})
    return ProcessorIO([vcon], context())


def posted(receiver: Service, io: ProcessorIO, **options: Any) -> Asked:
    [effect] = Webhook().process(io, WebhookOptions(urls=(receiver.url,), **options)).effects
    delivered(effect)
    return receiver.asked[-1]


def test_a_signed_vcon_is_posted_as_it_is_to_the_byte(receiver: Service) -> None:
    got = posted(receiver, signed_io())
    assert got.body == b'{"payload": "x", "signatures": []}'
    assert got.headers["content-type"] == "application/vcon"


def test_what_can_be_read_of_it_is_posted_where_that_is_asked_for(receiver: Service) -> None:
    got = orjson.loads(posted(receiver, signed_io(), sealed="view").body)
    assert [each["type"] for each in got["analysis"]] == ["summary", "later"]


def test_a_signed_vcon_whose_form_is_not_to_be_had_is_not_posted_in_another(receiver: Service) -> None:
    with pytest.raises(PermanentError, match="originals"):
        posted(receiver, ProcessorIO([Vcon(call(), 1, sealed={"analysis": 1})], context()))


def test_a_form_that_is_too_large_to_wait_is_refused(receiver: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosed, "MOST_EXACT", 10)
    with pytest.raises(PermanentError, match="sealed: view"):
        posted(receiver, signed_io())


# --- who it comes from, and whether it came before -------------------------------------------------------------


def test_a_receiver_can_tell_doubles(receiver: Service) -> None:
    asked = [post(receiver) for _ in range(2)]
    assert [each.headers["idempotency-key"] for each in asked] == [KEY, KEY]
    assert [each.headers["webhook-id"] for each in asked] == [KEY, KEY]


@pytest.mark.parametrize(
    ("held", "secret"),
    [
        ("whsec_" + base64.b64encode(b"a secret of 24 bytes and").decode(), b"a secret of 24 bytes and"),
        ("plain", b"plain"),
    ],
)
def test_a_receiver_can_tell_who_it_comes_from(
    receiver: Service, monkeypatch: pytest.MonkeyPatch, held: str, secret: bytes
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", held)
    got = post(receiver, signing_secret="env:WEBHOOK_SECRET")
    signed = b".".join([got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body])
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification's reference libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', secret)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_named(receiver: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_***")
    with pytest.raises(NotConfigured, match="WEBHOOK_SECRET begins with whsec_"):
        ask(receiver.url, signing_secret="env:WEBHOOK_SECRET")


# --- what the receiver answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_it_is_done_when_the_receiver_says_so(receiver: Service, status: int) -> None:
    receiver.next.append(Answer(status, b""))
    post(receiver)


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401, {}), PermanentError, "status 401"),
        (Answer(429, {}, {"Retry-After": "7"}), TransientError, "status 429"),
        (Answer(500, {}), TransientError, "status 500"),
        (Answer(503, {}), TransientError, "status 503"),
        (Answer(302, {}, {"Location": "http://127.0.0.1/"}), PermanentError, "redirects are not followed"),
    ],
)
def test_each_refusal_says_whether_it_may_pass(
    receiver: Service, answer: Answer, kind: type[Exception], told: str
) -> None:
    receiver.next.append(answer)
    with pytest.raises(kind, match=told):
        post(receiver)


def test_the_receiver_says_how_long_to_wait(receiver: Service) -> None:
    receiver.next.append(Answer(429, {}, {"Retry-After": "7"}))
    with pytest.raises(TransientError) as raised:
        post(receiver)
    assert raised.value.retry_after == 7


def test_an_answer_that_is_cut_off_or_no_json_is_a_success_by_its_status(receiver: Service) -> None:
    receiver.next += [Answer(200, b"<html>" * 100, cut=True)]
    post(receiver)


def test_who_does_not_answer_in_time_gets_it_again_under_the_same_key(receiver: Service) -> None:
    receiver.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match="sent again with the same Idempotency-Key"):
        post(receiver, answer_within=1)


def test_it_is_held_where_that_is_asked_for(receiver: Service) -> None:
    receiver.next.append(Answer(silent=True))
    with pytest.raises(OutcomeUnknown, match="then resend or drop it"):
        post(receiver, answer_within=1, when_unclear="hold")


def test_a_receiver_that_is_down_may_come_back() -> None:
    [effect] = ask(f"http://127.0.0.1:{free_port()}/in")
    with pytest.raises(TransientError, match="cannot be reached"):
        delivered(effect)


# --- once ------------------------------------------------------------------------------------------------------


def changed() -> dict[str, Any]:
    return {**call(), "subject": "another"}


def test_the_same_conversation_is_the_same_call_whatever_became_of_it() -> None:
    assert ask("http://127.0.0.1/")[0].about == ask("http://127.0.0.1/", data=changed(), job_id="job-2")[0].about


def test_by_content_a_changed_conversation_is_another_call() -> None:
    how: dict[str, Any] = {"once_per": "content"}
    first, same, other = (
        ask("http://127.0.0.1/", **how),
        ask("http://127.0.0.1/", job_id="job-2", **how),
        ask("http://127.0.0.1/", data=changed(), **how),
    )
    assert first[0].about == same[0].about != other[0].about


def test_by_job_each_run_is_another_call_and_a_retry_is_not() -> None:
    first, retry, other = (ask("http://127.0.0.1/", job_id=job, once_per="job")[0].about for job in ("a", "a", "b"))
    assert first == retry != other


def test_another_address_is_another_call() -> None:
    assert ask("http://127.0.0.1/a")[0].about != ask("http://127.0.0.1/b")[0].about


# --- secrets and limits ----------------------------------------------------------------------------------------


def test_no_secret_stands_in_the_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_TOKEN", "s3cr3t")
    monkeypatch.setenv("WEBHOOK_CRM", "http://127.0.0.1/k3y")
    [effect] = ask("env:WEBHOOK_CRM", headers={"X-Token": "env:WEBHOOK_TOKEN"}, signing_secret="env:WEBHOOK_TOKEN")
    text = orjson.dumps([effect.body, effect.summary, effect.about])
    assert b"s3cr3t" not in text
    assert b"k3y" not in text


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Cookie", "X-Access-Token", "api-key"])
def test_a_secret_in_the_definition_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValidationError) as raised:
        WebhookOptions.model_validate({"headers": {name: "s3cr3t"}})
    [fault] = raised.value.errors(include_input=False, include_url=False)
    assert "write env:NAME" in fault["msg"]
    assert "s3cr3t" not in fault["msg"]


def test_another_ones_secret_cannot_be_named() -> None:
    with pytest.raises(ValidationError, match="may not name the variable POSTGRES_URL"):
        WebhookOptions.model_validate({"headers": {"X-One": "env:POSTGRES_URL"}})


def test_a_secret_goes_nowhere_that_the_installation_did_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_TOKEN", "s3cr3t")
    with pytest.raises(PermanentError, match="/urls/0: a header holds a secret"):
        ask("https://evil.vcon.dev/in", headers={"X-Token": "env:WEBHOOK_TOKEN"})


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Idempotency-Key", "webhook-signature", "a b", "X\r\nY"])
def test_headers_that_are_set_here_or_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        WebhookOptions.model_validate({"headers": {name: "x"}})


def test_a_variable_that_is_not_set_is_named(receiver: Service) -> None:
    with pytest.raises(NotConfigured, match="WEBHOOK_TOKEN"):
        ask(receiver.url, headers={"X-Token": "env:WEBHOOK_TOKEN"})


def test_an_address_inside_is_refused_where_it_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCON_WEBHOOK_HOSTS")
    with pytest.raises(PermanentError, match="/urls/0: is not called"):
        ask("https://127.0.0.1/in")


def test_what_is_not_allowed_any_more_is_not_called(receiver: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    [effect] = ask(receiver.url)
    monkeypatch.delenv("VCON_WEBHOOK_HOSTS")
    with pytest.raises(PermanentError, match="is not called"):
        delivered(effect)
    assert receiver.asked == []


def test_an_address_is_needed() -> None:
    with pytest.raises(PermanentError, match="/urls: is empty"):
        ask("x", urls=[])


def test_the_summary_names_the_host_alone() -> None:
    assert ask("https://hooks.vcon.dev/s3cr3t?a=b")[0].summary == "a call of https://hooks.vcon.dev"

"""``send_email``: what is asked for, what a server is given, and what each of its answers means."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from copy import deepcopy
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fakes.smtp import FakeSmtp, Received
from tests.processors.support import MediaInMemory, context, document, io_of
from tests.support import free_port
from vcon_platform.processors import smtp_delivery
from vcon_platform.processors.base import Effect, Lent, OutcomeUnknown, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.email_message import message, one_line
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.send_email import SendEmail, SendEmailOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import content_hash_of, encode_base64url

MAIL = {
    "smtp_host": "127.0.0.1",
    "from_address": "Notes <notes@example.org>",
    "to": ["alice@example.org"],
    "subject": "Meeting notes",
    "text_body": "SUMMARY\nAll is well.\n.\n..hidden",
}

TestSendEmailStandard = processor_tests(
    SendEmail, example_io=lambda: io_of(document()), options={**MAIL, "smtp_port": 2525}
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_delivery, "SECONDS", 5.0)


@pytest.fixture
def server() -> Iterator[FakeSmtp]:
    with FakeSmtp() as fake:
        yield fake


def ask(**options: Any) -> Effect:
    io: ProcessorIO = io_of(document())
    [effect] = SendEmail().process(io, SendEmailOptions.model_validate({**MAIL, **options})).effects
    return effect


def send(server: FakeSmtp, **options: Any) -> Received:
    SendEmail().deliver(ask(smtp_port=server.port, **options), "k1")
    return server.mails[-1]


# --- what is sent ----------------------------------------------------------------------------------------------


def test_nothing_is_sent_while_the_pipeline_runs(server: FakeSmtp) -> None:
    ask(smtp_port=server.port)
    assert server.mails == []


def test_the_mail_arrives_as_it_was_asked_for(server: FakeSmtp) -> None:
    got = send(server)
    assert got.message["Subject"] == "Meeting notes"
    assert got.body == f"{MAIL['text_body']}\n"
    assert (got.sender, got.recipients) == ("notes@example.org", ["alice@example.org"])
    assert got.message["From"] == "Notes <notes@example.org>"


def test_text_in_any_script_arrives(server: FakeSmtp) -> None:
    got = send(server, subject="Zürich ☎ 会议", text_body="Grüße 会议")
    assert got.message["Subject"] == "Zürich ☎ 会议"
    assert got.body == "Grüße 会议\n"


def test_cc_is_shown_and_bcc_is_not(server: FakeSmtp) -> None:
    got = send(server, cc=["bob@example.org"], bcc=["carol@example.org"])
    assert got.recipients == ["alice@example.org", "bob@example.org", "carol@example.org"]
    assert b"carol" not in got.text
    assert got.message["Cc"] == "bob@example.org"


def test_the_message_id_is_the_same_at_every_try(server: FakeSmtp) -> None:
    ids = {send(server).message["Message-ID"] for _ in range(2)}
    assert ids == {"<k1@example.org>"}


def test_it_says_who_it_is(server: FakeSmtp) -> None:
    assert send(server, client_hostname="notes.example.org").client == "notes.example.org"


# --- what goes along -------------------------------------------------------------------------------------------

SOUND = b"RIFF\x00\x00\x00\x00WAVEfmt and so on"
TOKEN = content_hash_of(SOUND)
CALL = document(
    dialog=[
        {"type": "recording", "mediatype": "audio/x-wav", "url": f"vcon-media:{TOKEN}", "content_hash": TOKEN},
        {"type": "text", "body": "hello", "encoding": "none", "filename": "../../alice.exe"},
    ],
    analysis=[
        {"type": "summary", "dialog": 0, "body": "Zürich was discussed.", "encoding": "none"},
        {"type": "mood", "dialog": 0, "body": {"mood": "good"}, "encoding": "json"},
    ],
)


def send_with(server: FakeSmtp, **options: Any) -> dict[str, EmailMessage]:
    """The files of a mail about the call, by their names."""
    io = io_of(deepcopy(CALL))
    given = SendEmailOptions.model_validate({**MAIL, "smtp_port": server.port, **options})
    [effect] = SendEmail().process(io, given).effects
    lent = Lent(MediaInMemory({f"vcon-media:{TOKEN}": SOUND}), None)  # type: ignore[arg-type]  # no documents
    SendEmail().deliver(Effect(effect.body, effect.summary, lent=lent), "k1")
    return {str(part.get_filename()): part for part in server.mails[-1].message.iter_attachments()}


def test_the_vcon_goes_along_with_its_recordings(server: FakeSmtp) -> None:
    [(name, part)] = send_with(server, attach_vcon="with_recordings").items()
    got = orjson.loads(part.get_content())
    assert (name, part.get_content_type()) == (f"{CALL['uuid']}.vcon.json", "application/vcon")
    assert got["dialog"][0]["body"] == encode_base64url(SOUND)


def in_form(form: str) -> ProcessorIO:
    vcon = Vcon(deepcopy(CALL), 1)
    vcon.reform(b'{"sealed": 1}', deepcopy(CALL), {"form": form}, sealed={"dialog": 2})
    return ProcessorIO([vcon], context())


@pytest.mark.parametrize("form", ["signed", "encrypted"])
def test_a_vcon_in_another_form_goes_along_in_that_form(server: FakeSmtp, form: str) -> None:
    options = SendEmailOptions.model_validate({**MAIL, "smtp_port": server.port, "attach_vcon": "with_recordings"})
    [effect] = SendEmail().process(in_form(form), options).effects
    lent = Lent(MediaInMemory(), None)  # type: ignore[arg-type]  # no documents
    SendEmail().deliver(Effect(effect.body, effect.summary, lent=lent), "k1")
    [part] = server.mails[-1].message.iter_attachments()
    assert part.get_content() == b'{"sealed": 1}'


def test_an_encrypted_vcon_does_not_go_along_in_clear() -> None:
    options = SendEmailOptions.model_validate({**MAIL, "attach_vcon": "without_recordings"})
    with pytest.raises(PermanentError, match="/attach_vcon: the vCon is encrypted"):
        SendEmail().process(in_form("encrypted"), options)


def test_the_vcon_goes_along_without_what_was_said(server: FakeSmtp) -> None:
    [part] = send_with(server, attach_vcon="without_recordings").values()
    assert all("body" not in dialog for dialog in orjson.loads(part.get_content())["dialog"])


def test_dialogs_go_along_under_names_of_ours(server: FakeSmtp) -> None:
    got = send_with(server, attach_dialogs="")
    assert got["dialog-0.wav"].get_content() == SOUND
    assert got["dialog-1.txt"].get_content() == "hello"
    assert len(got) == 2


def test_only_the_dialogs_that_are_chosen_go_along(server: FakeSmtp) -> None:
    assert list(send_with(server, attach_dialogs="0")) == ["dialog-0.wav"]


def test_analyses_go_along_as_texts_and_as_json(server: FakeSmtp) -> None:
    got = send_with(server, attach_analyses=["summary", "mood", "absent"])
    assert got["summary-0.txt"].get_content() == "Zürich was discussed."
    assert orjson.loads(got["mood-1.json"].get_content()) == {"mood": "good"}


def test_the_text_is_there_beside_files(server: FakeSmtp) -> None:
    send_with(server, attach_analyses=["summary"])
    body = server.mails[-1].message.get_body()
    assert body is not None
    assert "All is well." in body.get_content()


def test_a_mail_that_would_be_too_large_is_not_sent(server: FakeSmtp) -> None:
    with pytest.raises(PermanentError, match="attach_max_bytes"):
        send_with(server, attach_dialogs="", attach_max_bytes=10)
    assert server.mails == []


def test_a_recording_that_is_gone_is_a_lasting_fault(server: FakeSmtp) -> None:
    [effect] = SendEmail().process(io_of(deepcopy(CALL)), SendEmailOptions(**MAIL, attach_dialogs="")).effects
    lent = Lent(MediaInMemory(), None)  # type: ignore[arg-type]  # no documents
    with pytest.raises(PermanentError, match="/dialog/0"):
        SendEmail().deliver(Effect(effect.body, effect.summary, lent=lent), "k1")


def test_the_same_mail_is_the_same_whatever_became_of_its_files() -> None:
    options = SendEmailOptions.model_validate({**MAIL, "attach_vcon": "without_recordings"})
    changed = {**deepcopy(CALL), "subject": "another"}
    first, second = (SendEmail().process(io_of(data), options).effects[0] for data in (deepcopy(CALL), changed))
    assert first.about == second.about


def test_a_mail_without_files_is_the_same_by_what_it_says() -> None:
    assert ask().about is None


# --- what nobody can slip in -----------------------------------------------------------------------------------


@given(subject=st.text())
def test_a_subject_never_begins_a_header(subject: str) -> None:
    mail = {**SendEmailOptions.model_validate(MAIL).model_dump(mode="json"), "subject": subject}
    head = message(mail, "k").as_bytes().partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))}
    assert names <= {
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"),
        *(b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"),
    }


def test_line_breaks_in_a_subject_become_blanks() -> None:
    assert one_line("a\r\nBcc: x@y.org\u2028") == "a Bcc: x@y.org"


@pytest.mark.parametrize("address", ["a@b.org\nBcc: x@y.org", "a@b.org, x@y.org", "alice", "", "<script>@x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="no mail address"):
        SendEmailOptions.model_validate({**MAIL, "to": [address]})


# --- what the server answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"to": ["x@refused.example"]}, PermanentError, r"refused 1 of 1 recipients.* \(550 5\.1\.1\)"),
        ({"to": ["x@busy.example"]}, TransientError, r"\(450 4\.2\.1\)"),
        ({"text_body": "too large"}, PermanentError, r"refused the mail \(552 5\.3\.4\)"),
        ({"text_body": "break off"}, OutcomeUnknown, "look whether it arrived"),
    ],
)
def test_each_refusal_says_whether_it_may_pass(
    server: FakeSmtp, options: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told) as raised:
        send(server, **options)
    assert "@" not in str(raised.value)


def test_if_one_recipient_is_refused_nobody_gets_it(server: FakeSmtp) -> None:
    with pytest.raises(PermanentError, match="1 of 2 recipients"):
        send(server, cc=["x@refused.example"])
    assert server.mails == []


def test_a_refused_sender_names_the_option(server: FakeSmtp) -> None:
    server.refuse_sender = "553 5.7.1 not you"
    with pytest.raises(PermanentError, match="from_address"):
        send(server)


def test_a_server_that_is_down_may_come_back() -> None:
    with pytest.raises(TransientError, match=r"127\.0\.0\.1 cannot be reached"):
        SendEmail().deliver(ask(smtp_port=free_port()), "k1")


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_delivery, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TransientError):
        SendEmail().deliver(ask(smtp_port=silent.getsockname()[1]), "k1")


# --- encryption and log-in -------------------------------------------------------------------------------------


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SMTP_USER", "notes")
    monkeypatch.setenv("SMTP_PASSWORD", "sesame")
    return {"smtp_user": "env:SMTP_USER", "smtp_password": "env:SMTP_PASSWORD"}


@pytest.fixture
def safe(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSmtp]:
    with FakeSmtp(tls="starttls", users={"notes": "sesame"}) as fake:
        monkeypatch.setenv("SSL_CERT_FILE", str(fake.certificate))
        yield fake


def test_starttls_is_used_where_it_is_offered(safe: FakeSmtp) -> None:
    assert send(safe).tls


def test_it_logs_in_with_what_the_environment_holds(safe: FakeSmtp, login: dict[str, Any]) -> None:
    assert send(safe, **login).user == "notes"


def test_tls_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeSmtp(tls="implicit") as fake:
        monkeypatch.setenv("SSL_CERT_FILE", str(fake.certificate))
        assert send(fake, use_tls=True).tls


def test_a_wrong_password_is_a_lasting_fault(
    safe: FakeSmtp, login: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "wrong")
    with pytest.raises(PermanentError, match="check smtp_user and smtp_password"):
        send(safe, **login)


def test_a_certificate_that_is_not_trusted_is_a_lasting_fault(safe: FakeSmtp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(PermanentError, match="SSL_CERT_FILE"):
        send(safe)


def test_a_password_is_not_sent_in_clear(server: FakeSmtp, login: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="a password is not sent without"):
        send(server, **login)


def test_required_encryption_is_required(server: FakeSmtp) -> None:
    with pytest.raises(PermanentError, match="offers no STARTTLS"):
        send(server, starttls="required")


def test_tls_to_a_plain_port_names_the_options(server: FakeSmtp) -> None:
    with pytest.raises(PermanentError, match="use_tls"):
        send(server, use_tls=True)


# --- secrets and limits ----------------------------------------------------------------------------------------


def test_no_password_stands_in_the_effect(login: dict[str, Any]) -> None:
    assert b"sesame" not in orjson.dumps(ask(**login).body)


def test_a_password_in_the_definition_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as raised:
        SendEmailOptions.model_validate({**MAIL, "smtp_password": "sesame"})
    [fault] = raised.value.errors(include_input=False, include_url=False)
    assert "write env:NAME" in fault["msg"]
    assert "sesame" not in fault["msg"]


def test_another_ones_secret_cannot_be_named() -> None:
    with pytest.raises(ValidationError, match="may not name the variable POSTGRES_URL"):
        SendEmailOptions.model_validate({**MAIL, "smtp_password": "env:POSTGRES_URL"})


def test_a_variable_that_is_not_set_is_named(login: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_PASSWORD")
    with pytest.raises(NotConfigured, match="SMTP_PASSWORD"):
        ask(**login)


@pytest.mark.parametrize("option", ["smtp_host", "from_address", "to"])
def test_what_a_mail_needs_is_named(option: str) -> None:
    with pytest.raises(PermanentError, match=f"/{option}"):
        ask(**{option: type(MAIL[option])()})


def test_an_installation_may_say_where_mail_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_SMTP_HOSTS", "relay.example.org")
    with pytest.raises(PermanentError, match="VCON_SMTP_HOSTS"):
        ask()


def test_the_summary_names_nobody() -> None:
    assert ask(cc=["bob@example.org"]).summary == "a mail to 2 recipients by 127.0.0.1"

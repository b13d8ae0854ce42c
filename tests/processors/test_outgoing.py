"""Requests to somebody outside: where they may go, and for certain whether they may have arrived."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.https import FakeHttps, fake_https
from tests.fakes.services import Answer, Service, service
from tests.support import free_port
from vcon_platform.processors.base import OutcomeUnknown, PermanentError, ProcessorError, TransientError
from vcon_platform.processors.outgoing import Address, address_of, refusal, send
from vcon_platform.processors.outgoing import Answer as Got
from vcon_platform.processors.references import NotConfigured
from vcon_platform.store import fetch_guard


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCON_WEBHOOK_HOSTS", raising=False)
    monkeypatch.delenv("VCON_WEBHOOK_PUBLIC", raising=False)


@pytest.fixture
def receiver() -> Iterator[Service]:
    with service(lambda asked: Answer(200, {"took": len(asked.body)})) as running:
        yield running


def local(receiver: Service, path: str = "/in") -> Address:
    return Address("http", "127.0.0.1", int(receiver.url.rpartition(":")[2]), path, inside=True, trusted=True)


# --- which addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://crm.example.com/in", "https"),
        ("https://127.0.0.1/in", "not a public one"),
        ("https://169.254.169.254/latest/meta-data", "not a public one"),
        ("https://0x7f.1/in", "a number, not a name"),
        ("https://2130706433/in", "a number, not a name"),
        ("https://[::1]/in", "not a public one"),
        ("https://localhost/in", "VCON_WEBHOOK_HOSTS"),
        ("https://redis.internal:6379/", "VCON_WEBHOOK_HOSTS"),
        ("https://user:secret@example.com/", "user name or password"),
        ("ftp://example.com/", "is no address"),
        ("https://exa mple.com/", "is no address"),
        ("https://example.com:99999/", "malformed"),
    ],
)
def test_what_a_definition_may_not_call_is_refused_before_anything_is_connected(url: str, told: str) -> None:
    with pytest.raises(PermanentError, match=told):
        address_of(url, "The webhook", "urls/0")


def test_no_error_holds_more_of_an_address_than_its_host() -> None:
    with pytest.raises(PermanentError) as raised:
        address_of("https://10.0.0.1/hook/s3cr3t?key=k3y", "The webhook", "urls/0")
    assert "s3cr3t" not in str(raised.value)
    assert "k3y" not in str(raised.value)


def test_a_public_address_is_taken() -> None:
    found = address_of("https://hooks.vcon.dev/a?x=1", "The webhook", "urls/0")
    assert (found.scheme, found.host, found.port, found.path) == ("https", "hooks.vcon.dev", 443, "/a?x=1")
    assert not found.inside
    assert not found.trusted


@pytest.mark.parametrize("listed", ["10.0.0.1", "10.0.0.1:8080", "crm.corp, 10.0.0.1"])
def test_a_host_inside_is_called_where_the_installation_lists_it(monkeypatch: pytest.MonkeyPatch, listed: str) -> None:
    monkeypatch.setenv("VCON_WEBHOOK_HOSTS", listed)
    assert address_of("http://10.0.0.1:8080/in", "The webhook", "urls/0").inside


def test_a_listed_port_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_WEBHOOK_HOSTS", "10.0.0.1:8080")
    with pytest.raises(PermanentError, match="VCON_WEBHOOK_HOSTS"):
        address_of("http://10.0.0.1:6379/in", "The webhook", "urls/0")


def test_a_listed_domain_is_every_host_below_it_and_nothing_that_ends_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_WEBHOOK_HOSTS", ".crm.corp")
    assert address_of("http://a.crm.corp/", "The webhook", "urls/0").inside
    with pytest.raises(PermanentError):
        address_of("http://evilcrm.corp/", "The webhook", "urls/0")


def test_public_hosts_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_WEBHOOK_PUBLIC", "off")
    with pytest.raises(PermanentError, match="VCON_WEBHOOK_PUBLIC is off"):
        address_of("https://hooks.vcon.dev/", "The webhook", "urls/0")


def test_an_address_in_a_variable_is_the_operators_and_may_lie_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_CRM", "http://10.0.0.1:8080/in")
    found = address_of("env:WEBHOOK_CRM", "The webhook", "urls/0")
    assert (found.port, found.inside, found.trusted) == (8080, True, True)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(NotConfigured, match="WEBHOOK_GONE"):
        address_of("env:WEBHOOK_GONE", "The webhook", "urls/0")


def test_a_public_name_that_resolves_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_guard, "resolve", lambda *_: ["8.8.8.8", "127.0.0.1"])
    with pytest.raises(PermanentError, match="not public"):
        send(address_of("https://rebind.vcon.dev/", "The webhook", "urls/0"))


# --- what came of it -------------------------------------------------------------------------------------------


def test_a_request_arrives_as_it_was_made(receiver: Service) -> None:
    answer = send(local(receiver, "/in?a=1"), headers={"X-One": "1"}, content=b"hello")
    asked = receiver.asked[0]
    assert (asked.path, asked.query, asked.headers["x-one"], asked.body) == ("/in", {"a": ["1"]}, "1", b"hello")
    assert (answer.status, answer.body) == (200, b'{"took":5}')


def test_a_redirect_is_not_followed(receiver: Service) -> None:
    receiver.next.append(Answer(302, {}, {"Location": f"{receiver.url}/elsewhere"}))
    answer = send(local(receiver))
    assert isinstance(refusal(local(receiver), answer, "the call"), PermanentError)
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    address = Address("https", "example.com", 443, "/", inside=False, trusted=False)
    error = refusal(address, Got(status, {"retry-after": "7"}, b""), "the call")
    assert isinstance(error, TransientError)
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 413, 422])
def test_what_will_not_pass_is_given_up(status: int) -> None:
    address = Address("https", "example.com", 443, "/", inside=False, trusted=False)
    assert isinstance(refusal(address, Got(status, {}, b""), "the call"), PermanentError)


def test_nothing_was_sent_to_who_is_not_there() -> None:
    gone = Address("http", "127.0.0.1", free_port(), "/", inside=True, trusted=True)
    with pytest.raises(TransientError, match="cannot be reached"):
        send(gone)


def test_nothing_was_sent_to_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError

    monkeypatch.setattr(fetch_guard, "resolve", unknown)
    with pytest.raises(TransientError, match="cannot be resolved"):
        send(Address("https", "gone.vcon.dev", 443, "/", inside=False, trusted=False))


def test_who_says_nothing_may_have_got_it(receiver: Service) -> None:
    receiver.next.append(Answer(silent=True))
    with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.3 s"):
        send(local(receiver), seconds=0.3)


def test_who_breaks_off_may_have_got_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            connection, _ = listening.accept()
            connection.recv(10)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        there = Address("http", "127.0.0.1", listening.getsockname()[1], "/", inside=True, trusted=True)
        with pytest.raises(OutcomeUnknown, match="the connection broke"):
            send(there, content=b"x" * 1000)


def test_an_answer_that_is_cut_off_is_none(receiver: Service) -> None:
    receiver.next.append(Answer(200, {"a": "b" * 100}, cut=True))
    with pytest.raises(OutcomeUnknown):
        send(local(receiver))


def test_whose_status_is_all_that_matters_is_not_read_to_the_end(receiver: Service) -> None:
    receiver.next.append(Answer(200, {"a": "b" * 100}, cut=True))
    assert send(local(receiver), most=0).fine


def test_an_answer_that_is_too_large_is_not_kept(receiver: Service) -> None:
    receiver.next.append(Answer(200, b"x" * 5000))
    with pytest.raises(OutcomeUnknown, match="more than 1000 bytes"):
        send(local(receiver), most=1000)


def test_a_header_that_would_begin_another_is_not_sent(receiver: Service) -> None:
    with pytest.raises(ProcessorError):
        send(local(receiver), headers={"X-One": "1\r\nX-Two: 2"})
    assert receiver.asked == []


# --- who it is -------------------------------------------------------------------------------------------------


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[FakeHttps]:
    with fake_https(tmp_path, "crm.vcon.dev") as fake:
        fake.content("/in", b"hello")
        yield fake


def test_a_certificate_of_ones_own_is_believed_where_the_environment_names_it(
    secure: FakeHttps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
    there = Address("https", "127.0.0.1", secure.port, "/in", inside=True, trusted=True)
    assert send(there, method="GET").body == b"hello"


def test_who_cannot_prove_the_name_gets_nothing(secure: FakeHttps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(PermanentError, match="SSL_CERT_FILE"):
        send(Address("https", "127.0.0.1", secure.port, "/in", inside=True, trusted=True), method="GET")
    assert secure.asked == []

"""A vCon of an e-mail: whoever wrote it, it passes the gates, or the reason is told."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.from_email import NoEmail, vcon_of_email
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import open_document
from vcon_platform.vcon.policy import Policy
from vcon_platform.vcon.received import receive
from vcon_platform.vcon.turns import turns

HEAD = b"From: Ada <ada@example.org>\r\nDate: Mon, 02 Nov 2026 09:00:00 +0000\r\nMessage-ID: <a@b>\r\n"


def _taken(data: dict[str, Any]) -> dict[str, Any]:
    """The view of it, through the gates."""
    with open_document(orjson.dumps(data), media_type=None, limits=Limits(), hoist_over=1 << 30) as opened:
        return receive(opened.value, Policy(received_at=datetime(2026, 11, 20, tzinfo=UTC))).data


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"", b"Gr\xc3\xbc\xc3\x9fe\r\n"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n", b"Gr\xfc\xdfe\r\n"),
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", b"R3LDvMOfZQ==\r\n"),
        (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"Gr=C3=BC=C3=9Fe",
        ),
        (b"Content-Type: text/plain; charset=utf-8\r\nSubject: =?x?q?=ff?=\r\n", "Grüße".encode()),
    ],
    ids=["no type", "latin-1", "base64", "quoted-printable", "a subject that cannot be decoded"],
)
def test_a_message_says_what_it_said(headers: bytes, body: bytes) -> None:
    [turn] = turns(_taken(vcon_of_email(HEAD + headers + b"\r\n" + body, UTC)))
    assert (turn.text.strip(), turn.party) == ("Grüße", 0)


def test_attachments_stay_in_the_body_and_everybody_is_a_party_once() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "ada@example.org", "bob@example.org, Ada <ADA@example.org>"
    message["Date"], message["Cc"] = "Mon, 02 Nov 2026 09:00:00 +0000", "carol@example.org"
    message.set_content("the toaster burns")
    message.add_attachment(b"\0\1", maintype="application", subtype="pdf", filename="bill.pdf")
    data = vcon_of_email(message.as_bytes(), UTC)
    assert [party["mailto"] for party in data["parties"]] == ["ada@example.org", "bob@example.org", "carol@example.org"]
    assert "bill.pdf" in data["dialog"][0]["body"]
    assert [turn.text for turn in turns(_taken(data))] == ["the toaster burns"]


def test_one_message_makes_one_vcon() -> None:
    assert vcon_of_email(HEAD + b"\r\nx", UTC)["uuid"] == vcon_of_email(HEAD + b"\r\nx", UTC)["uuid"]


@pytest.mark.parametrize(
    "content", [b"", b"some text", b"From: ada@example.org\r\n\r\nx", HEAD.replace(b"Ada", b"")[6:]]
)
def test_nothing_is_invented(content: bytes) -> None:
    with pytest.raises(NoEmail):
        vcon_of_email(content, UTC)


@given(st.binary(max_size=300), st.binary(max_size=100))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_there_passes_the_gates(headers: bytes, body: bytes) -> None:
    try:
        data = vcon_of_email(HEAD + headers + b"\r\n\r\n" + body, UTC)
    except NoEmail:
        return
    turns(_taken(data))

"""The words of a message, from plain text, HTML and e-mail; hostile ones neither raise nor take long."""

import base64
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.text import html_text, message_text

MIXED = (
    "preamble\r\n--b\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    "--i\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße</p>\r\n"
    "--i\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {cte}\r\n\r\n{text}\r\n--i--\r\n"
    "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=x.txt\r\n\r\nattached\r\n--b--\r\n"
)


def message(body: Any, mediatype: Any = "text/plain", **members: Any) -> str:
    return message_text({"type": "text", "body": body, "mediatype": mediatype, **members})


@pytest.mark.parametrize(
    ("cte", "text"),
    [
        ("8bit", "Grüße 你好"),
        ("quoted-printable", "Gr=C3=BC=C3=9Fe =\r\n=E4=BD=A0=E5=A5=BD"),
        ("base64", base64.b64encode("Grüße 你好".encode()).decode()),
    ],
)
def test_the_plain_part_of_a_nested_email_is_the_message(cte: str, text: str) -> None:
    assert message(MIXED.format(cte=cte, text=text), 'multipart/mixed; \r\n\tboundary="b"') == "Grüße 你好"


def test_an_email_given_as_bytes_is_decoded_by_the_charset_of_its_part() -> None:
    body = b"--b\nContent-Type: text/plain; charset=iso-8859-1\n\nGr\xfc\xdfe\n--b--\n"
    encoded = base64.urlsafe_b64encode(body).decode().rstrip("=")
    assert message(encoded, "multipart/mixed; boundary=b", encoding="base64url") == "Grüße"
    assert message("R3L832U", "text/plain; charset=latin-1", encoding="base64url") == "Grüße"


def test_a_part_that_breaks_off_is_read_up_to_there() -> None:
    assert message("--b\n\nThat is", "multipart/mixed; boundary=b") == "That is"


def test_a_longer_boundary_is_not_taken_for_a_shorter_one() -> None:
    assert message("--b\n\none\n--bc\ntwo\n--b--\n", "multipart/mixed; boundary=b") == "one\n--bc\ntwo"


def test_a_whole_email_is_read() -> None:
    mail = "Subject: hi\nReceived: " + "x" * 5000 + "\nContent-Type: text/html\n\n<b>Yes</b>"
    assert message(mail, "message/rfc822") == "Yes"


@pytest.mark.parametrize("charset", ["rot13", "zlib", "punycode", "unicode_escape", "no-such", "idna"])
def test_a_charset_that_is_none_is_read_as_utf8(charset: str) -> None:
    assert message("SGVsbG8", f"text/plain; charset={charset}", encoding="base64url") == "Hello"


def test_a_json_string_is_opened() -> None:
    assert message('"Hi \\"you\\""', encoding="json") == 'Hi "you"'
    assert message('"broken', encoding="json") == '"broken'


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>one</p><p>two<br/>three", "one\ntwo\nthree"),
        ("a &lt; b &amp;&nbsp;c 3 < 4", "a < b & c 3 < 4"),
        ("<a title=\"x > y\" href='z'>link</a>", "link"),
        ('a <b class="open>bold</b> c', "a bold c"),
        ("see<!-- <p>not --> this", "see this"),
        ("<STYLE>p{}</STYLE>x<Script>if (a<b) {}</Script>y", "xy"),
        ("<head><title>T</title><meta x></head><body>b", "b"),
        ("one\ntwo", "one two"),
        ("&#" + "9" * 5000 + ";", "&#" + "9" * 5000 + ";"),
        ("<!DOCTYPE html><?xml?>x</>", "x"),
        ("cut <a hre", "cut"),
        ("", ""),
    ],
)
def test_html_is_what_a_reader_sees(page: str, text: str) -> None:
    assert html_text(page) == text


@pytest.mark.parametrize(
    "piece", ["<!--", "<a ", '<a "', "<script>", "<", "</script", "&#", "<a '\"", "<style></script>", "<p>"]
)
def test_html_takes_linear_time(piece: str) -> None:
    begin = time.process_time()
    html_text(piece * (1_000_000 // len(piece)))
    assert time.process_time() - begin < 10  # a quadratic one takes an hour


@pytest.mark.parametrize(
    ("piece", "mediatype"),
    [
        ("--b\n", "multipart/mixed; boundary=b"),
        ("--b\nContent-Type: multipart/mixed; boundary=b\n\n", "multipart/mixed; boundary=b"),
        ("\n", "message/rfc822"),
        ("Content-Type: x\n", "message/rfc822"),
        ("--bb\n", "multipart/mixed; boundary=b"),
        ("Content-Type: message/rfc822\n\n", "message/rfc822"),
    ],
)
def test_email_takes_linear_time(piece: str, mediatype: str) -> None:
    begin = time.process_time()
    message(piece * (2_000_000 // len(piece)), mediatype)
    assert time.process_time() - begin < 10


HEADERS = st.sampled_from(
    [
        "Content-Type: text/plain",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: ;;=\"';",
        "--b",
        "--b--",
        "",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Type: text/html",
        "=3D",
        "Content-Type: text/plain; charset*0=a; charset*1=b",
        "Content-Type: message/rfc822",
        "Content-Disposition: ;x*9*=''",
        "ä",
        "Content-Type: multipart/x; boundary*" + "9" * 1500 + "*=b",
    ]
)
BODIES = st.lists(HEADERS | st.text(max_size=8), max_size=12).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(
    BODIES | st.none() | st.integers(),
    st.sampled_from(["multipart/mixed; boundary=b", "message/rfc822", "text/html", "", "a/b", 5, None])
    | st.text(max_size=20),
    st.sampled_from(["none", "base64url", "json", None, []]),
)
def test_no_message_raises(body: Any, mediatype: Any, encoding: Any) -> None:
    text = message(body, mediatype, encoding=encoding)
    assert text == text.strip()

"""Urls: what their text alone forbids, which carry keys, and how they may be shown."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.urls import is_presigned, is_public, masked, names_something, why_blocked


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example.com/leg-2.wav",
        "https://MEDIA.example.com:8443/a?b=c#d",
        "https://8.8.8.8/a.wav",
        "https://[2606:4700::1111]/a.wav",
        "https://bücher.de/a.wav",
        "https://fake-vcons.s3.amazonaws.com/2024/12/18/b217.mp3",
    ],
)
def test_a_public_https_url_is_not_blocked_by_its_text(url: str) -> None:
    assert why_blocked(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://media.example.com/a.wav",
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "https://metadata.google.internal/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://db/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://10.0.0.1./",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127\u30020\u30020\u30021/",
        "https://127.0.0.1.nip.io/",
        "https://e.example/redirect-to-internal",
        "https://%31%32%37.0.0.1/",
        "https://user:pw@media.example.com/a.wav",
        "https://media.example.com@127.0.0.1/",
        "https://media.example.com\\@127.0.0.1/",
        "https://media.example.com/a b",
        "https://media.example.com/\r\nHost: x",
        "https://media.example.com:99999/",
        "https:///a.wav",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "data:audio/x-wav;base64,AAAA",
        "s3://bucket/recording.wav",
        "testdata/relative.wav",
        "//media.example.com/a.wav",
        "https://" + "a." * 200 + "com/",
    ],
)
def test_what_the_text_alone_forbids_is_blocked(url: str) -> None:
    assert why_blocked(url) is not None


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60) | st.text(alphabet="https:/.@[]%0x1aZ?#\\ ", max_size=40).map(lambda rest: "https://" + rest)
)
def test_no_text_raises(url: str) -> None:
    assert (type(masked(url)), type(is_presigned(url)), type(names_something(url))) == (str, bool, bool)
    assert isinstance(why_blocked(url), str | None)


@settings(max_examples=200, deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_inside_ipv6_is_judged_as_itself(address: object) -> None:
    plain = ip_address(str(address))
    for form in (f"::ffff:{plain}", f"64:ff9b::{plain}"):
        assert is_public(ip_address(form)) == is_public(plain)


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=AKIAEXAMPLE&Signature=abc&Expires=1",
        "X-Amz-Algorithm=x&X-Amz-Credential=y&X-Amz-Signature=z",
        "X-Goog-Signature=z",
        "sv=2020&sig=abc",
        "a=1&token=abc",
    ],
)
def test_a_query_with_a_key_is_known(query: str) -> None:
    assert is_presigned(f"https://b.example.com/x.wav?{query}")


@pytest.mark.parametrize(
    "url", ["https://e.example.com/sig=1", "https://e.example.com/a?page=2", "https://e.example.com/"]
)
def test_a_url_without_a_key_is_not_taken_for_one(url: str) -> None:
    assert not is_presigned(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://e.example.com/a.wav?token=abc", "https://e.example.com/a.wav?***"),
        ("https://e.example.com/a.wav#abc", "https://e.example.com/a.wav?***"),
        ("https://me:pw@e.example.com/a?b", "https://e.example.com/a?***"),
        ("https://e.example.com/a.wav", "https://e.example.com/a.wav"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("text", "names"), [("not-a-url", False), ("", False), ("a.wav", True), ("a/b", True), ("s3:x", True)]
)
def test_a_bare_word_names_nothing(text: str, names: bool) -> None:
    assert names_something(text) == names

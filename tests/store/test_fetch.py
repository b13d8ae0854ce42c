"""Fetching outside media: what is refused before a connection, what breaks off, what is kept.

The server is a real one on this machine; only here may a fetch go to a loopback address.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from tests.fakes.https import FakeHttps, fake_https
from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.fetch import Fetcher, FetchFailed, FetchMode, FetchPolicy, FetchRefused, HashMismatch
from vcon_platform.store.fetch_guard import address_allowed
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.vcon.media import content_hash_of, encode_base64url

HOST = "media.example.org"
AUDIO = b"RIFF....WAVEfmt recorded elsewhere"
HASH = content_hash_of(AUDIO)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHttps]:
    with fake_https(tmp_path_factory.mktemp("https"), HOST, "other.example.org") as server:
        yield server


@pytest.fixture
def server(running: FakeHttps) -> FakeHttps:
    running.answers.clear()
    running.asked.clear()
    running.content("/a.wav", AUDIO)
    return running


class Net:
    """A fetcher that finds the test's server under every name, and what it resolved."""

    def __init__(self, server: FakeHttps, **policy: Any) -> None:
        self.server = server
        self.resolved: list[str] = []
        self.connected: list[str] = []
        self.addresses: dict[str, list[str]] = {}
        defaults: dict[str, Any] = {
            "mode": FetchMode.ANY,
            "ports": frozenset({server.port}),
            "connect_seconds": 2.0,
            "read_seconds": 2.0,
            "seconds": 5.0,
        }
        self.fetcher = Fetcher(
            FetchPolicy(**{**defaults, **policy}),
            resolver=self._resolve,
            address_allowed=lambda address: address == "127.0.0.1" or address_allowed(address),
            tls=server.tls,
        )

    def _resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        return self.addresses.get(host, ["127.0.0.1"])

    def get(self, path: str = "/a.wav", content_hash: object = None, host: str = HOST) -> bytes:
        return b"".join(self.fetcher.chunks(self.url(path, host), content_hash))

    def url(self, path: str = "/a.wav", host: str = HOST) -> str:
        return f"https://{host}:{self.server.port}{path}"


@pytest.fixture
def net(server: FakeHttps) -> Net:
    return Net(server)


# --- what comes ---------------------------------------------------------------------------------------------------


def test_media_is_fetched_without_credentials_cookies_or_compression(net: Net) -> None:
    assert net.get("/a.wav?part=1&x=%20y") == AUDIO
    [(path, headers)] = net.server.asked
    assert path == "/a.wav?part=1&x=%20y"
    assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == f"{HOST}:{net.server.port}"


def test_proxies_of_the_environment_are_not_used(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert net.get() == AUDIO


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_hash_that_holds_is_no_hindrance(net: Net, algorithm: str) -> None:
    token = f"{algorithm}-{encode_base64url(hashlib.new(algorithm, AUDIO).digest())}"
    assert net.get(content_hash=token) == net.get(content_hash=[HASH, token]) == AUDIO


@pytest.mark.parametrize("wrong", [content_hash_of(b"something else"), [HASH, f"sha256-{'A' * 43}"]])
def test_a_hash_that_does_not_hold_is_told(net: Net, wrong: object) -> None:
    with pytest.raises(HashMismatch, match=f"from {HOST} is not what the document's content_hash says"):
        net.get(content_hash=wrong)


def test_two_hashes_that_cannot_both_hold_are_refused_unasked(net: Net) -> None:
    with pytest.raises(HashMismatch, match="two different sha512"):
        net.get(content_hash=[HASH, content_hash_of(b"x")])
    assert not net.resolved


# --- what is refused before any connection ------------------------------------------------------------------------

REFUSED = [
    "http://media.example.org/a.wav",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "data:audio/wav;base64,AAAA",
    "//media.example.org/a.wav",
    "a.wav",
    "https:///a.wav",
    "https://127.0.0.1/a.wav",
    "https://[::1]/a.wav",
    "https://[::ffff:169.254.169.254]/latest",
    "https://[64:ff9b::a9fe:a9fe]/latest",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://localhost/a.wav",
    "https://localhost./a.wav",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://169.254.169.254.nip.io/",
    "https://media.example.org@169.254.169.254/",
    "https://user:password@media.example.org/a.wav",
    "https://127。0。0。1/a.wav",
    "https://media.example.org\\@169.254.169.254/",
    "https://media.example.org/a.wav\r\nX: y",
    "https://fe80::1%25eth0/",
    "https://" + "a" * 9000 + ".example.org/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_must_not_be_fetched_is_refused_unresolved(server: FakeHttps, url: str) -> None:
    net = Net(server, ports=frozenset({443, server.port, 6379}))
    with pytest.raises(FetchRefused, match="its url is not fetched"):
        list(net.fetcher.chunks(url, HASH))
    assert (net.resolved, server.asked) == ([], [])


HOSTILE = sorted((Path(__file__).parents[1] / "data" / "hostile").glob("22_*.json"))


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.stem)
@pytest.mark.parametrize("scheme", ["", "https"])
def test_every_hostile_url_is_refused_under_https_too(server: FakeHttps, file: Path, scheme: str) -> None:
    net = Net(server, ports=frozenset(range(1, 65536)))
    [dialog] = orjson.loads(file.read_bytes())["dialog"]
    url = f"https:{dialog['url'].partition(':')[2]}" if scheme else dialog["url"]
    with pytest.raises(FetchRefused):
        list(net.fetcher.chunks(url))
    assert (net.resolved, server.asked) == ([], [])


ADDRESSES = [
    *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),  # noqa: S104
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "192.88.99.1", "198.18.0.1", "203.0.113.5", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::7f00:1", "fe80::1"),
    *("fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
    *("2001::7f00:1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "100::1", "no address"),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_not_public_is_not_allowed(address: str) -> None:
    assert not address_allowed(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::64"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert address_allowed(address)


@pytest.mark.parametrize("inside", [["10.0.0.5"], ["127.0.0.1", "10.0.0.5"], ["2606:4700::1111", "::1"]])
def test_a_name_with_any_inside_address_is_not_connected_to(net: Net, inside: list[str]) -> None:
    net.addresses[HOST] = inside
    with pytest.raises(FetchRefused, match=f"{HOST} resolves to an address that is not public"):
        net.get()
    assert not net.server.asked


def test_a_name_that_answers_differently_the_second_time_is_resolved_once(net: Net) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.5"]])
    net.fetcher._resolver = lambda *_: next(answers)
    assert net.get() == AUDIO  # had it resolved again to connect, it would have gone elsewhere
    assert next(answers) == ["10.0.0.5"]


def test_an_address_that_takes_no_connection_is_passed_over(net: Net) -> None:
    net.fetcher._address_allowed = lambda address: address.startswith("127.")
    net.addresses[HOST] = ["127.0.0.2", "127.0.0.1"]  # the server listens on the second only
    assert net.get() == AUDIO


def test_a_server_that_cannot_prove_its_name_is_not_listened_to(net: Net) -> None:
    with pytest.raises(FetchFailed, match="cannot prove its name") as raised:
        net.get(host="imposter.example.org")
    assert not raised.value.transient
    assert not net.server.asked


@pytest.mark.parametrize(
    ("hosts", "allowed"),
    [((HOST,), True), ((".example.org",), True), (("example.org",), False), (("edia.example.org",), False)],
)
def test_only_hosts_of_the_list_are_fetched_from(server: FakeHttps, hosts: tuple[str, ...], allowed: bool) -> None:
    net = Net(server, hosts=hosts)
    if allowed:
        assert net.get() == AUDIO
    else:
        with pytest.raises(FetchRefused, match="VCON_FETCH_HOSTS"):
            net.get()
        assert not net.resolved


def test_other_ports_are_refused(net: Net) -> None:
    with pytest.raises(FetchRefused, match="port 6379 is not allowed"):
        list(net.fetcher.chunks(f"https://{HOST}:6379/", HASH))


def test_nothing_is_fetched_where_fetching_is_off(server: FakeHttps) -> None:
    net = Net(server, mode=FetchMode.OFF)
    with pytest.raises(FetchRefused, match="VCON_FETCH=off"):
        net.get(content_hash=HASH)
    assert not net.resolved


@pytest.mark.parametrize("claimed", [None, [], "md5-AAAA", "sha512-AAAA", 5])
def test_without_a_hash_that_can_be_checked_nothing_is_fetched_by_default(server: FakeHttps, claimed: object) -> None:
    net = Net(server, mode=FetchMode.VERIFIED)
    with pytest.raises(FetchRefused, match="VCON_FETCH=any"):
        net.get(content_hash=claimed)
    assert not net.resolved
    assert net.get(content_hash=HASH) == AUDIO


# --- redirects ----------------------------------------------------------------------------------------------------


def test_a_redirect_is_followed_to_another_host(net: Net) -> None:
    net.server.redirect("/old", net.url("/a.wav", "other.example.org"))
    net.server.redirect("/older", "/old", 308)
    assert net.get("/older", HASH) == AUDIO
    assert net.resolved == [HOST, HOST, "other.example.org"]


@pytest.mark.parametrize(
    "to",
    [
        "http://media.example.org/a.wav",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "file:///etc/passwd",
        "https://user@media.example.org/",
        "https://media.example.org:22/",
    ],
)
def test_a_redirect_is_judged_like_the_first_url(net: Net, to: str) -> None:
    net.server.redirect("/trap", to)
    with pytest.raises(FetchRefused):
        net.get("/trap")
    assert net.resolved == [HOST]


def test_a_redirect_to_a_name_inside_is_not_connected_to(net: Net) -> None:
    net.server.redirect("/trap", net.url("/a.wav", "other.example.org"))
    net.addresses["other.example.org"] = ["192.168.1.1"]
    with pytest.raises(FetchRefused, match="not public"):
        net.get("/trap")
    assert len(net.server.asked) == 1


def test_redirects_come_to_an_end(net: Net) -> None:
    net.server.redirect("/loop", "/loop")
    with pytest.raises(FetchFailed, match="redirects more than 5 times") as raised:
        net.get("/loop")
    assert not raised.value.transient
    assert len(net.server.asked) == 6


def test_a_redirect_to_nowhere_is_told(net: Net) -> None:
    net.server.content("/nowhere", b"", 302)
    with pytest.raises(FetchFailed, match="redirects to nowhere"):
        net.get("/nowhere")


# --- sizes, times, statuses -----------------------------------------------------------------------------------------


def test_what_is_announced_larger_than_allowed_is_not_read(server: FakeHttps) -> None:
    net = Net(server, max_bytes=10)
    with pytest.raises(FetchFailed, match="more than 10 bytes") as raised:
        net.get()
    assert not raised.value.transient


def test_a_body_without_end_is_cut_off(server: FakeHttps) -> None:
    server.trickle("/endless", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65536, 0.0)
    with pytest.raises(FetchFailed, match="more than 1000000 bytes"):
        Net(server, max_bytes=1_000_000).get("/endless")


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"), (b"HTTP/1.1 200 OK\r\nX: ", b"y")],
    ids=["body", "headers"],
)
def test_a_server_that_trickles_is_left_when_the_time_is_up(server: FakeHttps, head: bytes, piece: bytes) -> None:
    server.trickle("/slow", head, piece, 0.05)
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="longer than the whole fetch may") as raised:
        Net(server, seconds=0.5).get("/slow")
    assert raised.value.transient
    assert time.monotonic() - began < 10  # it would go on for ever


def test_a_server_that_falls_silent_is_left(server: FakeHttps) -> None:
    server.trickle("/silent", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"x", 30.0)
    with pytest.raises(FetchFailed, match="does not answer in time") as raised:
        Net(server, read_seconds=0.2).get("/silent")
    assert raised.value.transient


def test_a_body_shorter_than_announced_is_worth_another_try(net: Net) -> None:
    net.server.content("/short", AUDIO, Content_Length="99", Connection="close")
    with pytest.raises(FetchFailed, match="broke off") as raised:
        net.get("/short")
    assert raised.value.transient


def test_a_compressed_answer_is_refused(net: Net) -> None:
    net.server.content("/gzip", gzip.compress(AUDIO), Content_Encoding="gzip")
    with pytest.raises(FetchFailed, match="compressed though it must not"):
        net.get("/gzip")


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *[(status, False) for status in (204, 206, 400, 401, 403, 404, 410)],
        *[(status, True) for status in (408, 429, 500, 502, 503, 504)],
    ],
)
def test_a_status_says_whether_another_try_may_help(net: Net, status: int, transient: bool) -> None:
    net.server.content("/status", b"", status)
    with pytest.raises(FetchFailed, match=f"status {status}") as raised:
        net.get("/status")
    assert raised.value.transient is transient


def test_a_name_that_does_not_resolve_is_worth_another_try(net: Net) -> None:
    net.addresses[HOST] = []
    with pytest.raises(FetchFailed, match="cannot be resolved") as raised:
        net.get()
    assert raised.value.transient


def test_a_server_that_takes_no_connection_is_worth_another_try(net: Net) -> None:
    net.fetcher._address_allowed = lambda _: True
    net.addresses[HOST] = ["127.0.0.2"]
    with pytest.raises(FetchFailed, match="cannot be reached") as raised:
        net.get()
    assert raised.value.transient


def test_a_key_in_the_url_is_never_shown(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for path in ("/a.wav?X-Amz-Signature=hunter2", "/gone?sig=hunter2"):
        try:
            net.get(path)
        except PlatformError as error:
            told.append(str(error))
    assert len(told) == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("vcon_platform")]
    assert ours
    assert "hunter2" not in " ".join([*told, *ours])


# --- kept by hash, fetched once -------------------------------------------------------------------------------------


@pytest.fixture
def media(net: Net, tmp_path: Path, redis_client: Redis) -> MediaStore:
    return MediaStore(local_objects(tmp_path / "objects"), 8, redis_client, net.fetcher, tmp_path / "spool")


def test_outside_media_is_fetched_once_and_kept_by_its_hash(media: MediaStore, net: Net, redis_client: Redis) -> None:
    entry = {"type": "recording", "url": net.url(), "content_hash": HASH}
    assert media.body(entry) == AUDIO
    assert media.content_hash(entry) == HASH
    assert b"".join(media.chunks(entry)) == AUDIO
    assert len(net.server.asked) == 1
    [kept] = redis_client.keys("fetched:*")
    assert 0 < redis_client.ttl(kept) <= 30 * 86400
    assert (redis_client.zscore(keys.MEDIA_PINS, HASH) or 0) > time.time() + 29 * 86400


def test_media_without_a_hash_gets_the_one_it_has(media: MediaStore, net: Net) -> None:
    assert media.content_hash({"url": net.url()}) == HASH


def test_a_hash_that_another_document_has_does_not_give_its_media(media: MediaStore, net: Net) -> None:
    theirs = media.keep_chunks([b"somebody else's call"])
    with pytest.raises(HashMismatch):
        media.body({"url": net.url(), "content_hash": theirs})


def test_what_does_not_match_is_not_kept(media: MediaStore, net: Net, redis_client: Redis) -> None:
    with pytest.raises(HashMismatch):
        media.body({"url": net.url(), "content_hash": content_hash_of(b"expected")})
    assert not media.has(HASH)
    assert redis_client.keys("fetched:*") == []


def test_a_copy_that_is_gone_is_fetched_again(media: MediaStore, net: Net, tmp_path: Path) -> None:
    entry = {"url": net.url(), "content_hash": HASH}
    media.body(entry)
    for file in (tmp_path / "objects" / "media").rglob("*"):
        if file.is_file():
            file.unlink()
    assert media.body(entry) == AUDIO
    assert len(net.server.asked) == 2

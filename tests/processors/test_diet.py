"""``diet``: takes out what it is asked to, and only what is safely elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fakes.s3 import FakeS3, fake_s3
from tests.fakes.services import Answer, Asked, Service, service
from tests.processors.support import UUID, MediaInMemory, context, document
from tests.support import free_port
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorError, ProcessorIO, TransientError
from vcon_platform.processors.diet import Diet, DietOptions
from vcon_platform.processors.diet_copies import _base_of
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests
from vcon_platform.store.objects import open_objects
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import content_hash_of, decode_base64url, encode_base64url

SOUND = b"RIFF\x00\x00\x00\x00WAVEfmt and so on"
TOKEN = content_hash_of(SOUND)
BESIDE = {
    "type": "recording",
    "parties": [0, 1],
    "mediatype": "audio/x-wav",
    "url": f"vcon-media:{TOKEN}",
    "content_hash": TOKEN,
}
WITHIN = {"type": "text", "parties": [0], "body": "hello", "encoding": "none"}
OUTSIDE = {"type": "recording", "url": "https://example.com/a.wav", "content_hash": TOKEN}
SUMMARY = {"type": "summary", "dialog": 0, "body": "All is well.", "encoding": "none"}
SCORE = {"type": "score", "dialog": 0, "body": {"score": 3}, "encoding": "json"}
PICTURE = {"purpose": "photo", "mediatype": "image/jpeg", "body": "x", "encoding": "base64url"}
NOTE = {"purpose": "note", "mediatype": "text/plain", "body": "x", "encoding": "none"}


def call(**members: Any) -> dict[str, Any]:
    given = {"dialog": [BESIDE, WITHIN, OUTSIDE], "analysis": [SUMMARY, SCORE], "attachments": [PICTURE, NOTE]}
    return deepcopy(document(**{**given, **members}))


def io(data: dict[str, Any] | None = None, revision: int = 1, media: MediaInMemory | None = None) -> ProcessorIO:
    lent = context(media=media or MediaInMemory({f"vcon-media:{TOKEN}": SOUND}))
    return ProcessorIO([Vcon(call() if data is None else data, revision)], lent)


def dieted(data: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    given = io(data)
    Diet().process(given, DietOptions(**options))
    assert Vcon(call() if data is None else data).uuid == given.vcon.uuid
    return given.vcon.data


TestDietStandard = processor_tests(
    Diet,
    example_io=io,
    failing_io=lambda: io(media=MediaInMemory()),
    options={"remove_dialog_body": True, "remove_analysis": True, "remove_system_prompts": True},
)

# --- what is taken out -----------------------------------------------------------------------------------------


def test_bodies_go_and_what_says_who_spoke_stays() -> None:
    got = dieted(remove_dialog_body=True)
    assert got["dialog"] == [
        {"type": "recording", "parties": [0, 1], "mediatype": "audio/x-wav", "content_hash": TOKEN},
        {"type": "text", "parties": [0], "content_hash": content_hash_of(b"hello")},
        OUTSIDE,
    ]


def test_nothing_else_goes_with_them() -> None:
    got = dieted(remove_dialog_body=True)
    assert (got["analysis"], got["attachments"]) == ([SUMMARY, SCORE], [PICTURE, NOTE])


def test_all_analyses_go() -> None:
    assert dieted(remove_analysis=True)["analysis"] == []


def test_analyses_of_a_type_go() -> None:
    assert dieted(remove_analysis_types=["summary"])["analysis"] == [SCORE]


@pytest.mark.parametrize("kind", ["image/jpeg", "photo"])
def test_attachments_go_by_media_type_or_purpose(kind: str) -> None:
    assert dieted(remove_attachment_types=[kind])["attachments"] == [NOTE]


def test_system_prompts_go_wherever_they_stand() -> None:
    prompted = {**SUMMARY, "system_prompt": "obey", "body": {"deep": [{"system_prompt": "obey", "kept": 1}]}}
    told = {**SCORE, "encoding": "json", "body": orjson.dumps({"system_prompt": "obey", "kept": 2}).decode()}
    got = dieted(call(analysis=[prompted, told], extra={"system_prompt": "obey"}), remove_system_prompts=True)
    assert b"obey" not in orjson.dumps(got)
    assert got["analysis"][0]["body"] == {"deep": [{"kept": 1}]}
    assert orjson.loads(got["analysis"][1]["body"]) == {"kept": 2}
    assert got["extra"] == {}


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["system_prompt", "a", "body"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries({"type": st.just("x"), "body": JSON}), max_size=3))
def test_no_system_prompt_is_left_in_whatever_there_is(analysis: list[dict[str, Any]]) -> None:
    given = io(document(analysis=analysis))
    with suppress(NotApplicable):
        Diet().process(given, DietOptions(remove_system_prompts=True))
    assert b'"system_prompt"' not in orjson.dumps(given.vcon.data)


def test_a_vcon_with_nothing_of_it_goes_on() -> None:
    with pytest.raises(NotApplicable):
        dieted(document(), remove_dialog_body=True, remove_analysis=True, remove_attachment_types=["x"])


def test_only_what_changes_is_replaced() -> None:
    given = io()
    Diet().process(given, DietOptions(remove_dialog_body=True))
    assert [(change.member, change.index) for change in given.vcon.changes] == [("dialog", 0), ("dialog", 1)]  # type: ignore[union-attr]


# --- only what is elsewhere ------------------------------------------------------------------------------------


def test_what_is_not_stored_yet_stays() -> None:
    given = io(revision=0)
    with pytest.raises(PermanentError, match="not stored yet"):
        Diet().process(given, DietOptions(remove_analysis=True))
    assert given.vcon.data == call()


def test_a_body_that_the_media_store_lost_stays() -> None:
    with pytest.raises(PermanentError, match="/dialog/0"):
        Diet().process(io(media=MediaInMemory()), DietOptions(remove_dialog_body=True))


def test_a_body_that_the_media_store_has_wrong_stays() -> None:
    wrong = MediaInMemory({f"vcon-media:{TOKEN}": b"other bytes"})
    with pytest.raises(PermanentError, match="not what its hash says"):
        Diet().process(io(media=wrong), DietOptions(remove_dialog_body=True))


@pytest.mark.parametrize("options", [{"remove_analysis": True}, {"remove_analysis_types": ["score"]}])
def test_what_was_signed_stays_whole(options: dict[str, Any]) -> None:
    given = ProcessorIO([Vcon(call(), 1, sealed={"analysis": 1})], context())
    with pytest.raises(PermanentError, match="/analysis: the vCon was signed"):
        Diet().process(given, DietOptions(**options))
    assert given.vcon.data == call()


def test_bodies_that_were_added_to_a_signed_one_go() -> None:
    given = ProcessorIO([Vcon(call(dialog=[OUTSIDE, WITHIN]), 1, sealed={"dialog": 1})], context())
    Diet().process(given, DietOptions(remove_dialog_body=True))
    assert "body" not in given.vcon.dialog[1]


# --- copies in a store -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[FakeS3]:
    with fake_s3("copies") as running:
        yield running


@pytest.fixture
def bucket(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    monkeypatch.setenv("TEST_KEY", "a-key")
    monkeypatch.setenv("TEST_SECRET", "a-secret")
    monkeypatch.setenv("DIET_STORE_URL", s3.url("copies", "calls"))
    return s3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIET_STORE_URL", str(tmp_path / "copies"))
    return tmp_path / "copies"


IN_FOLDER: dict[str, Any] = {
    "remove_dialog_body": True,
    "copies": "env:DIET_STORE_URL",
    "public_url": "https://media.example.com/x/",
}


def test_a_recording_is_in_the_bucket_before_it_goes(bucket: FakeS3) -> None:
    got = dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL")["dialog"][0]
    key = f"{UUID}/{TOKEN}.wav"
    assert got["url"] == f"http://127.0.0.1:{bucket.port}/copies/calls/{key}"
    assert got["content_hash"] == TOKEN
    assert bytes(obstore.get(bucket.objects("copies", "calls"), key).bytes()) == SOUND


def test_a_signed_url_can_be_read_by_who_has_it(bucket: FakeS3) -> None:
    import httpx

    got = dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL", signed_for=600)["dialog"][0]
    assert httpx.get(got["url"]).content == SOUND
    assert "a-secret" not in got["url"]


def test_copies_have_the_address_that_is_named(folder: Path) -> None:
    got = dieted(**IN_FOLDER)["dialog"]
    assert got[0]["url"] == f"https://media.example.com/x/{UUID}/{TOKEN}.wav"
    assert (folder / UUID / f"{TOKEN}.wav").read_bytes() == SOUND
    assert (folder / UUID / content_hash_of(b"hello")).read_bytes() == b"hello"
    assert got[2] == OUTSIDE


def test_a_repetition_makes_the_same_copy(folder: Path) -> None:
    assert dieted(**IN_FOLDER) == dieted(**IN_FOLDER)
    assert len(list((folder / UUID).iterdir())) == 2


def test_a_copy_that_does_not_come_back_whole_takes_nothing_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, key, data, **how: real(store, key, bytes(data)[:-1], **how))
    given = io()
    with pytest.raises(TransientError, match="could not be read back"):
        Diet().process(given, DietOptions(**IN_FOLDER))
    assert given.vcon.data == call()


def test_a_store_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcon_platform.store import objects

    monkeypatch.setattr(objects, "_retries", lambda: {"max_retries": 0})
    url = (
        f"s3://b/p?endpoint=http://127.0.0.1:{free_port()}&allow_http=true&access_key_id=env:K&secret_access_key=env:K"
    )
    monkeypatch.setenv("K", "k")
    monkeypatch.setenv("DIET_STORE_URL", url)
    with pytest.raises(TransientError, match=r"/dialog/0: .*DIET_STORE_URL"):
        dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL")


def test_a_store_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIET_STORE_URL", "ftp://example.com/x")
    with pytest.raises(PermanentError, match="the variable DIET_STORE_URL"):
        dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL")


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(NotConfigured, match="DIET_STORE_URL"):
        dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL")


def test_a_folder_has_no_address_of_its_own(folder: Path) -> None:
    with pytest.raises(PermanentError, match="/public_url"):
        dieted(remove_dialog_body=True, copies="env:DIET_STORE_URL")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://calls/eu?region=eu-central-1", "https://calls.s3.eu-central-1.amazonaws.com/eu"),
        ("s3://a.b?region=us-east-1", "https://s3.us-east-1.amazonaws.com/a.b"),
        ("s3://calls?endpoint=https://minio.example.com", "https://minio.example.com/calls"),
        ("gs://calls/x", "https://storage.googleapis.com/calls/x"),
        ("az://calls/x?account_name=acme", "https://acme.blob.core.windows.net/calls/x"),
    ],
)
def test_each_kind_of_store_has_its_address(url: str, address: str) -> None:
    assert _base_of(open_objects(url, {**os.environ})) == address


# --- copies with a service -------------------------------------------------------------------------------------


class Keeper:
    """A service that keeps what is posted, and gives it back."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/copies":
            request = orjson.loads(asked.body)
            path = f"/{request['vcon_uuid']}/{request['dialog_id']}"
            self.kept[path] = decode_base64url(request["content"])
            return Answer(200, {"url": f"{self.url}{path}"})
        return Answer(200, self.kept[asked.path]) if asked.path in self.kept else Answer(404, {})


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Keeper, Service]]:
    monkeypatch.setenv("VCON_WEBHOOK_HOSTS", "127.0.0.1")
    kept = Keeper()
    with service(kept.answer) as running:
        kept.url = running.url
        yield kept, running


def test_a_service_is_asked_for_its_copy_before_the_recording_goes(keeper: tuple[Keeper, Service]) -> None:
    kept, running = keeper
    got = dieted(remove_dialog_body=True, post_media_to_url=f"{running.url}/copies")["dialog"]
    assert got[0]["url"] == f"{running.url}/{UUID}/0"
    assert kept.kept[f"/{UUID}/0"] == SOUND
    assert [urlsplit(asked.path).path for asked in running.asked] == ["/copies", f"/{UUID}/0", "/copies", f"/{UUID}/1"]


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(500, {}), TransientError, "status 500"),
        (Answer(429, {}, {"Retry-After": "3"}), TransientError, "status 429"),
        (Answer(401, {}), PermanentError, "status 401"),
        (Answer(200, b"no json"), PermanentError, "without the url"),
        (Answer(200, {"url": 7}), PermanentError, "without the url"),
        (Answer(200, {"url": "http://169.254.169.254/x"}), PermanentError, "cannot be read back"),
        (Answer(200, {"url": "x" * 99}, cut=True), TransientError, "nothing was taken out"),
    ],
)
def test_an_answer_that_is_no_copy_takes_nothing_out(
    keeper: tuple[Keeper, Service], answer: Answer, kind: type[ProcessorError], told: str
) -> None:
    _, running = keeper
    running.next.append(answer)
    given = io()
    with pytest.raises(kind, match=told):
        Diet().process(given, DietOptions(remove_dialog_body=True, post_media_to_url=f"{running.url}/copies"))
    assert given.vcon.data == call()


@pytest.mark.parametrize("back", [b"other", encode_base64url(SOUND).encode()])
def test_another_content_than_the_recording_takes_nothing_out(keeper: tuple[Keeper, Service], back: bytes) -> None:
    kept, running = keeper
    running.next += [Answer(200, {"url": f"{kept.url}/x"}), Answer(200, back)]
    given = io()
    with pytest.raises(PermanentError, match="not the recording's bytes"):
        Diet().process(given, DietOptions(remove_dialog_body=True, post_media_to_url=f"{running.url}/copies"))
    assert given.vcon.data == call()


def test_a_service_inside_must_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCON_WEBHOOK_HOSTS", raising=False)
    with pytest.raises(PermanentError, match="VCON_WEBHOOK_HOSTS"):
        dieted(remove_dialog_body=True, post_media_to_url="http://127.0.0.1/copies")


# --- options ---------------------------------------------------------------------------------------------------


def test_a_store_is_a_reference() -> None:
    with pytest.raises(ValidationError, match="must be a reference"):
        DietOptions(copies="s3://bucket/x")


def test_a_url_that_others_can_read_is_not_signed_as_well() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        DietOptions(public_url="https://media.example.com", signed_for=600)


def test_it_waits_only_for_a_store_outside() -> None:
    assert not Diet.waits(DietOptions(remove_dialog_body=True))
    assert Diet.waits(DietOptions(copies="env:DIET_STORE_URL"))

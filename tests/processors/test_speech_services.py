"""The engines ``deepgram``, ``hugging_face`` and ``vfun`` of ``transcribe``: what is sent, what comes of the answer,
and what each failure means."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.fakes import deepgram as deepgram_fake
from tests.fakes.services import Answer, Service
from tests.fakes.speech_api import HF_KEY, VFUN_KEY, fake_speech_api, form_of
from tests.processors.support import (
    TWO_CHANNELS,
    WHICH_PRODUCT,
    MediaInMemory,
    ResultsInMemory,
    document,
    io_of,
    recording,
)
from vcon_platform.processors import speech_engines
from vcon_platform.processors.base import PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.transcribe import Transcribe
from vcon_platform.processors.transcribe_options import TranscribeOptions
from vcon_platform.vcon.turns import turns

ADDRESS = "https://media.example.org/call.mp3?signature=abc"


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with fake_speech_api() as fake:
        monkeypatch.setenv("HUGGINGFACE_API_KEY", HF_KEY)
        monkeypatch.setenv("HUGGINGFACE_API_URL", f"{fake.url}/hf/models/{{model}}")
        monkeypatch.setenv("VFUN_API_KEY", VFUN_KEY)
        monkeypatch.setenv("VFUN_SERVER_URL", f"{fake.url}/vfun/wtf")
        yield fake


@pytest.fixture
def deepgram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with deepgram_fake.fake_deepgram() as fake:
        monkeypatch.setenv("DEEPGRAM_KEY", deepgram_fake.KEY)
        monkeypatch.setenv("DEEPGRAM_BASE_URL", fake.url)
        yield fake


@pytest.fixture
def shared_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VCON_SPEECH_URL_HOSTS", "cdn.example.com, .example.org")
    speech_engines._hosts.cache_clear()
    yield
    speech_engines._hosts.cache_clear()


def call(parties: Any = (0, 1), **lent: Any) -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT, parties)]), **lent)


def outside() -> ProcessorIO:
    media = MediaInMemory({ADDRESS: WHICH_PRODUCT.read_bytes()})
    return io_of(document(dialog=[{"type": "recording", "parties": 0, "url": ADDRESS}]), media=media)


def run(engine: str, io: ProcessorIO | None = None, **options: Any) -> dict[str, Any]:
    """The body that is written."""
    given = TranscribeOptions.model_validate({"engine": engine, **options})
    (analysis,) = Transcribe().process(io or call(), given).vcon.analysis
    return dict(analysis["body"])


# --- deepgram ---------------------------------------------------------------------------------------------------


def test_deepgrams_answer_has_the_one_shape_and_is_kept_whole(deepgram: Service) -> None:
    body = run("deepgram")
    assert [(s["speaker"], s["text"]) for s in body["segments"]] == [
        ("0", "Hello, can you hear me?"),
        ("1", "Yes, I can."),
    ]
    assert body["words"][0] == {
        "id": 0,
        "start": 0.0,
        "end": 0.4,
        "text": "Hello,",
        "confidence": 0.98,
        "speaker": "0",
    }
    assert body["transcript"]["confidence"] == 0.98
    assert body["extensions"]["deepgram"]["metadata"]["request_id"]


def test_deepgrams_voices_may_be_put_down_to_parties(deepgram: Service) -> None:
    assert [s["party"] for s in run("deepgram", voices="in_order")["segments"]] == [0, 1]


def test_one_channel_is_diarized_and_two_are_heard_apart(deepgram: Service) -> None:
    run("deepgram")
    run("deepgram", io_of(document(dialog=[recording(TWO_CHANNELS)])))
    run("deepgram", io_of(document(dialog=[recording(TWO_CHANNELS)])), channels="mix")
    asked = [(each.query["diarize"], each.query["multichannel"]) for each in deepgram.asked]
    assert asked == [(["true"], ["false"]), (["false"], ["true"]), (["true"], ["false"])]


def test_engine_options_go_before_our_own(deepgram: Service) -> None:
    run("deepgram", model="nova-2", language="de", engine_options={"diarize": False, "keyterm": ["a", "b"]})
    query = deepgram.asked[0].query
    assert (query["diarize"], query["keyterm"], query["model"], query["language"]) == (
        ["false"],
        ["a", "b"],
        ["nova-2"],
        ["de"],
    )


def test_a_language_that_is_not_known_is_found_out(deepgram: Service) -> None:
    run("deepgram", language="auto")
    assert deepgram.asked[0].query["detect_language"] == ["true"]
    assert "language" not in deepgram.asked[0].query


def test_a_recordings_address_is_never_given_away_unasked(deepgram: Service, shared_hosts: None) -> None:
    run("deepgram", outside())
    assert deepgram.asked[0].body == WHICH_PRODUCT.read_bytes()


def test_a_recordings_address_is_given_where_it_is_asked_for_and_allowed(deepgram: Service, shared_hosts: None) -> None:
    deepgram.next.append(Answer(200, deepgram_fake.reply(b"", {"diarize": ["true"]})))
    io = outside()
    run("deepgram", io, send="url")
    assert orjson.loads(deepgram.asked[0].body) == {"url": ADDRESS}
    assert isinstance(io.context.media, MediaInMemory)
    assert io.context.media.reads == 0


@pytest.mark.parametrize(
    "url", ["https://media.example.net/a.mp3", "http://media.example.org/a.mp3", "https://xexample.org/a.mp3"]
)
def test_an_address_that_is_not_allowed_is_not_given(deepgram: Service, shared_hosts: None, url: str) -> None:
    media = MediaInMemory({url: WHICH_PRODUCT.read_bytes()})
    io = io_of(document(dialog=[{"type": "recording", "parties": 0, "url": url}]), media=media)
    run("deepgram", io, send="url")
    assert deepgram.asked[0].body == WHICH_PRODUCT.read_bytes()


def test_an_address_that_deepgram_cannot_fetch_is_said(deepgram: Service, shared_hosts: None) -> None:
    deepgram.next.append(deepgram_fake.refusal(400, "REMOTE_CONTENT_ERROR"))
    with pytest.raises(PermanentError, match="cannot fetch it from its address") as raised:
        run("deepgram", outside(), send="url")
    assert "signature" not in str(raised.value)


# --- hugging face -----------------------------------------------------------------------------------------------


def test_hugging_face_is_sent_the_bytes(service: Service) -> None:
    body = run("hugging_face")
    (asked,) = service.asked
    assert asked.path == "/hf/models/openai/whisper-large-v3"
    assert (asked.body, asked.headers["content-type"]) == (WHICH_PRODUCT.read_bytes(), "audio/mpeg")
    assert body["transcript"]["text"] == "Hello there."
    assert body["segments"][0]["end"] == pytest.approx(8.4, abs=0.1)


def test_hugging_face_gives_times_where_they_are_asked_for(service: Service) -> None:
    body = run("hugging_face", engine_options={"return_timestamps": True})
    assert [(s["start"], s["end"], s["text"]) for s in body["segments"]] == [(0.0, 1.0, "Hello there.")]
    words = run("hugging_face", engine_options={"return_timestamps": "word"})["words"]
    assert [(word["text"], word["start"], word["end"]) for word in words] == [("Hello", 0.0, 0.4), ("there.", 0.5, 0.5)]


def test_a_model_that_is_being_loaded_is_waited_for(service: Service) -> None:
    service.next.append(Answer(503, {"error": "Model is currently loading", "estimated_time": 20.5}))
    with pytest.raises(TransientError, match="503") as raised:
        run("hugging_face")
    assert raised.value.retry_after == 20.5


# --- vfun -------------------------------------------------------------------------------------------------------


def test_vfun_is_sent_a_form_without_the_recordings_own_name(service: Service) -> None:
    io = io_of(document(dialog=[recording(WHICH_PRODUCT, filename="alice.mp3")]))
    run("vfun", io, engine_options={"diarize": True}, language="es")
    fields, name, data = form_of(service.asked[0])
    assert fields == {"diarize": ["true"], "language": ["es"]}
    assert (name, data) == ("recording.mp3", WHICH_PRODUCT.read_bytes())


def test_vfuns_answer_is_read_and_can_be_written_as_wtf() -> None:
    io = call()
    given = TranscribeOptions.model_validate(
        {"engine": "vfun", "outputs": ["wtf"], "engine_options": {"diarize": True}, "voices": "in_order"}
    )
    Transcribe().process(io, given)
    (analysis,) = io.vcon.analysis
    assert (analysis["type"], analysis["vendor"], analysis["schema"]) == ("wtf_transcription", "vfun", "wtf-1.0")
    assert [(turn.party, turn.text) for turn in turns(io.vcon)] == [(0, "Hello"), (1, "there.")]


def test_vfun_needs_its_address_and_may_have_no_key(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VFUN_API_KEY")
    with pytest.raises(PermanentError, match=r"vfun refuses the key \(401\); set a valid one in VFUN_API_KEY"):
        run("vfun")
    monkeypatch.delenv("VFUN_SERVER_URL")
    with pytest.raises(NotConfigured, match="VFUN_SERVER_URL"):
        run("vfun")


# --- both -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["hugging_face", "vfun"])
@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401, {"error": "Alice"}), PermanentError, "refuses the key"),
        (Answer(404, {"error": "Alice"}), PermanentError, "choose a model"),
        (Answer(400, {"error": "Alice"}), PermanentError, "recording of dialog 0: .* refuses it"),
        (Answer(429, {"error": "Alice"}, {"Retry-After": "7"}), TransientError, "429"),
        (Answer(500, b"<html>Alice"), TransientError, "500"),
        (Answer(302, b"", {"Location": "https://elsewhere.example.org"}), PermanentError, "302"),
        (Answer(200, b"<html>Alice"), TransientError, "no transcription"),
        (Answer(200, {"hello": "Alice"}), TransientError, "no transcription"),
        (Answer(200, {"text": "Alice", "transcript": {}}, cut=True), TransientError, "connection broke"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_each_failure_says_whether_it_may_pass(
    service: Service, engine: str, answer: Answer, kind: type[Exception], told: str
) -> None:
    service.next.append(answer)
    io = call()
    with pytest.raises(kind, match=told) as raised:
        run(engine, io)
    assert "Alice" not in str(raised.value)
    assert io.vcon.changes == []
    assert len(service.asked) == 1
    if answer.status == 429:
        assert isinstance(raised.value, TransientError)
        assert raised.value.retry_after == 7


@pytest.mark.parametrize("engine", ["hugging_face", "vfun"])
def test_a_service_that_does_not_answer_is_given_up(service: Service, engine: str) -> None:
    service.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match=r"did not answer within 0\.3 s"):
        run(engine, answer_within=0.3)


@pytest.mark.parametrize("engine", ["hugging_face", "vfun"])
def test_the_same_recording_is_bought_once(service: Service, engine: str) -> None:
    results = ResultsInMemory()
    first, second = (run(engine, call(results=results)) for _ in range(2))
    assert len(service.asked) == 1
    assert first == second

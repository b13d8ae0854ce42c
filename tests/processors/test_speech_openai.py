"""The engines ``openai`` and ``groq``: pieces, times, answers of each model, and what each failure means."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.fakes.services import Answer, Service
from tests.fakes.speech_api import GROQ_KEY, KEY, fake_speech_api, form_of, refusal, seconds_of
from tests.processors.support import (
    TWO_CHANNELS,
    WHICH_PRODUCT,
    Account,
    ResultsInMemory,
    document,
    encoded,
    io_of,
    recording,
)
from vcon_platform.processors.base import PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.transcribe import Transcribe
from vcon_platform.processors.transcribe_options import TranscribeOptions
from vcon_platform.vcon.turns import turns


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with fake_speech_api() as fake:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        monkeypatch.setenv("GROQ_API_KEY", GROQ_KEY)
        monkeypatch.setenv("GROQ_BASE_URL", f"{fake.url}/groq")
        yield fake


def sound(seconds: float, channels: int = 1, kind: str = "WAV") -> bytes:
    dice = np.random.default_rng(7)
    samples = dice.normal(0, 0.1, (int(seconds * 8_000), channels)) * (np.arange(channels) + 1)
    return encoded(samples, 8_000, kind)


def call(audio: bytes | None = None, parties: Any = (0, 1), **lent: Any) -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT if audio is None else audio, parties)]), **lent)


def run(io: ProcessorIO, **options: Any) -> dict[str, Any]:
    """The body that is written."""
    given = TranscribeOptions.model_validate({"engine": "openai", **options})
    (analysis,) = Transcribe().process(io, given).vcon.analysis
    return dict(analysis["body"])


# --- what is sent -----------------------------------------------------------------------------------------------


def test_a_short_recording_of_one_channel_goes_out_as_it_is(service: Service) -> None:
    run(call(), engine_options={"prompt": "Heartworm", "temperature": 0.2})
    (asked,) = service.asked
    fields, name, data = form_of(asked)
    assert data == WHICH_PRODUCT.read_bytes()
    assert name == "recording.mp3"
    assert fields == {
        "model": ["whisper-1"],
        "language": ["en"],
        "response_format": ["verbose_json"],
        "timestamp_granularities": ["word", "segment"],
        "prompt": ["Heartworm"],
        "temperature": ["0.2"],
    }


def test_a_language_that_is_not_known_is_not_sent(service: Service) -> None:
    assert run(call(), language="auto")["transcript"]["language"] == "en"
    assert "language" not in form_of(service.asked[0])[0]


def test_a_kind_of_file_that_is_not_taken_is_sent_as_flac(service: Service) -> None:
    run(call(sound(3, kind="AU")))
    assert form_of(service.asked[0])[1] == "recording.flac"


def test_a_long_recording_is_cut_without_loss_or_overlap(service: Service) -> None:
    body = run(call(sound(100)), max_chunk_duration=40)
    lengths = [seconds_of(form_of(asked)[2]) for asked in service.asked]
    assert len(lengths) >= 3
    assert sum(lengths) == pytest.approx(100, abs=0.01)
    assert max(lengths) <= 40
    assert body["transcript"]["duration"] == 100


def test_every_words_time_is_its_time_in_the_recording(service: Service) -> None:
    body = run(call(sound(100)), max_chunk_duration=40)
    starts = [0.0]
    for asked in service.asked[:-1]:
        starts.append(starts[-1] + seconds_of(form_of(asked)[2]))
    firsts = [word for word in body["words"] if word["text"] == "w0"]
    assert [word["start"] for word in firsts] == pytest.approx(starts, abs=0.001)
    assert all(a["end"] <= b["start"] for a, b in zip(body["words"], body["words"][1:], strict=False))
    assert [segment["start"] for segment in body["segments"]] == sorted(s["start"] for s in body["segments"])


def test_each_channel_is_sent_by_itself_and_is_its_partys(service: Service) -> None:
    io = call(TWO_CHANNELS.read_bytes(), (1, 0))
    body = run(io)
    assert [round(seconds_of(form_of(asked)[2])) for asked in service.asked] == [15, 15]
    assert {(s["channel"], s["party"]) for s in body["segments"]} == {(0, 1), (1, 0)}
    assert {turn.party for turn in turns(io.vcon)} == {0, 1}


def test_mixed_channels_are_sent_once(service: Service) -> None:
    body = run(call(TWO_CHANNELS.read_bytes()), channels="mix")
    assert len(service.asked) == 1
    assert body["metadata"]["audio"]["channels"] == 1


def test_a_silent_channel_is_not_paid_for(service: Service) -> None:
    half = np.column_stack([np.random.default_rng(1).normal(0, 0.1, 24_000), np.zeros(24_000)])
    run(call(encoded(half, 8_000)))
    assert len(service.asked) == 1


# --- what comes back --------------------------------------------------------------------------------------------


def test_words_have_times_and_segments_say_how_sure_it_is() -> None:
    body = run(call())
    assert body["words"][:2] == [
        {"id": 0, "start": 0.0, "end": 0.5, "text": "w0"},
        {"id": 1, "start": 1.0, "end": 1.5, "text": "w1"},
    ]
    assert body["segments"][0]["confidence"] == pytest.approx(0.9048, abs=0.0001)
    assert body["segments"][0]["text"].startswith("W0 w1")
    assert body["extensions"]["openai"]["task"] == "transcribe"


def test_a_model_that_gives_text_alone_has_a_segment_for_each_piece() -> None:
    body = run(call(sound(100)), model="gpt-4o-transcribe", max_chunk_duration=40)
    assert [segment["text"].split()[0] for segment in body["segments"]] == ["w0"] * 3
    assert body["segments"][0]["start"] == 0
    assert body["segments"][-1]["end"] == 100
    assert [a["end"] == b["start"] for a, b in zip(body["segments"], body["segments"][1:], strict=False)] == [True] * 2
    assert body["transcript"]["confidence"] == pytest.approx(0.8187, abs=0.0001)
    assert body["words"] == []
    assert [set(part) for part in body["extensions"]["openai"]["parts"]] == [{"channel", "start", "end", "reply"}] * 3


def test_a_model_that_tells_voices_apart_names_them(service: Service) -> None:
    body = run(call(sound(40)), model="gpt-4o-transcribe-diarize", voices="in_order")
    assert form_of(service.asked[0])[0]["chunking_strategy"] == ["auto"]
    assert [(s["text"], s["party"]) for s in body["segments"]] == [("hello", 0), ("hi", 1)]


def test_voices_of_different_pieces_are_not_taken_for_the_same() -> None:
    body = run(call(sound(70)), model="gpt-4o-transcribe-diarize", max_chunk_duration=40, voices="in_order")
    assert [s["speaker"] for s in body["segments"]] == ["A/1", "B/1", "A/2", "B/2"]


def test_nothing_said_is_an_empty_transcript(service: Service) -> None:
    service.next.append(Answer(200, {"text": "", "segments": [], "words": [], "language": "english", "duration": 8.4}))
    body = run(call())
    assert (body["transcript"]["text"], body["segments"]) == ("", [])


# --- what is bought ---------------------------------------------------------------------------------------------


def test_pieces_that_were_bought_are_not_bought_again(service: Service) -> None:
    results = ResultsInMemory()
    service.next.extend([Answer(200, {"text": "one"}), refusal(503)])
    audio = sound(70)
    with pytest.raises(TransientError, match="503"):
        run(call(audio, results=results), model="gpt-4o-transcribe", max_chunk_duration=40)
    body = run(call(audio, results=results), model="gpt-4o-transcribe", max_chunk_duration=40)
    assert len(service.asked) == 3
    assert body["segments"][0]["text"] == "one"


def test_the_same_recording_is_bought_once(service: Service) -> None:
    results = ResultsInMemory()
    first, second = (run(call(results=results)) for _ in range(2))
    assert len(service.asked) == 1
    assert first == second
    run(call(results=results), engine_options={"prompt": "other"})
    assert len(service.asked) == 2


def test_seconds_and_tokens_are_told() -> None:
    account = Account()
    io = call(sound(70))
    io.context = replace(io.context, purchases=account)
    run(io, model="gpt-4o-transcribe", max_chunk_duration=40)
    assert [(each.service, each.model, each.input_tokens, each.output_tokens) for each in account.used] == [
        ("openai", "gpt-4o-transcribe", 10, 4)
    ] * 2
    assert sum(each.seconds for each in account.used) == pytest.approx(70, abs=0.01)


# --- other services of the protocol -----------------------------------------------------------------------------


def test_groq_is_asked_at_its_own_address_with_its_own_key(service: Service) -> None:
    io = call()
    run(io, engine="groq")
    assert service.asked[0].path == "/groq/audio/transcriptions"
    assert form_of(service.asked[0])[0]["model"] == ["whisper-large-v3-turbo"]
    assert (io.vcon.analysis[0]["vendor"], io.vcon.analysis[0]["product"]) == ("groq", "whisper-large-v3-turbo")


def test_azure_is_asked_for_the_deployment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", service.url)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    run(call(), model="my-whisper", azure_endpoint="env:AZURE_OPENAI_ENDPOINT", api_key="env:AZURE_OPENAI_API_KEY")
    assert service.asked[0].path == "/openai/deployments/my-whisper/audio/transcriptions"


# --- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (
            refusal(401, "invalid_api_key"),
            PermanentError,
            "refuses the key .401 invalid_api_key.; set a valid one in OPEN",
        ),
        (refusal(429, "insufficient_quota"), PermanentError, "quota is used up"),
        (refusal(403), PermanentError, "choose a model"),
        (refusal(404, "model_not_found"), PermanentError, "choose a model"),
        (refusal(400, "invalid_file_format"), PermanentError, "recording of dialog 0: OpenAI refuses it"),
        (refusal(413), PermanentError, "too large"),
        (refusal(429, "rate_limit_exceeded"), TransientError, "429"),
        (refusal(500), TransientError, "500"),
        (Answer(502, b"<html>gateway", {"Content-Type": "text/html"}), TransientError, "502"),
        (Answer(200, b"<html>hello", {"Content-Type": "text/html"}), TransientError, "no transcription"),
        (Answer(200, {"hello": 1}), TransientError, "no transcription"),
        (Answer(200, [1]), TransientError, "no transcription"),
        (Answer(200, {"text": "hello there"}, cut=True), TransientError, "connection broke"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_each_failure_says_whether_it_may_pass(
    service: Service, answer: Answer, kind: type[Exception], told: str
) -> None:
    service.next.append(answer)
    io = call()
    with pytest.raises(kind, match=told) as raised:
        run(io)
    assert "Alice" not in str(raised.value)
    assert len(service.asked) == 1
    assert io.vcon.changes == []


def test_what_the_service_asks_to_wait_is_told(service: Service) -> None:
    service.next.append(refusal(429, "rate_limit_exceeded", Retry_After="7"))
    with pytest.raises(TransientError) as raised:
        run(call())
    assert raised.value.retry_after == 7


def test_a_service_that_does_not_answer_is_given_up(service: Service) -> None:
    service.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match=r"OpenAI did not answer within 0\.3 s"):
        run(call(), answer_within=0.3)


def test_a_service_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(TransientError, match="cannot be reached"):
        run(call())


def test_what_is_no_audio_is_not_sent(service: Service) -> None:
    with pytest.raises(PermanentError, match="cannot be decoded as audio"):
        run(call(b"no audio at all, but long enough to be looked at"))
    assert service.asked == []

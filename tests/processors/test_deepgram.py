"""``deepgram``: what is sent, what is written, and what each failure of the service means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from tests.fakes.deepgram import KEY, fake_deepgram, refusal, reply
from tests.fakes.services import Answer, Service
from tests.processors.support import MediaInMemory, ResultsInMemory, document, io_of, recording
from vcon_platform.processors import speech_engines
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.deepgram import Deepgram, DeepgramOptions
from vcon_platform.processors.deepgram_calls import seconds_used
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.turns import turns

AUDIO = b"RIFF....WAVE" + b"\0" * 5000


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with fake_deepgram() as fake:
        monkeypatch.setenv("DEEPGRAM_KEY", KEY)
        monkeypatch.setenv("DEEPGRAM_BASE_URL", fake.url)
        yield fake


def call(*audio: bytes, **lent: Any) -> ProcessorIO:
    return io_of(document(dialog=[recording(each) for each in audio or (AUDIO,)]), **lent)


def run(io: ProcessorIO | None = None, **options: Any) -> ProcessorIO:
    return Deepgram().process(io or call(), DeepgramOptions.model_validate(options))


TestDeepgramStandard = processor_tests(Deepgram, example_io=call, failing_io=lambda: call(b"no audio"))


def test_the_bytes_are_sent_with_the_options(service: Service) -> None:
    run(language="de", model="nova-2", additional={"numerals": True, "keyterm": ["ACME", "Müller"]})
    [asked] = service.asked
    assert asked.body == AUDIO
    assert asked.query == {
        "language": ["de"],
        "model": ["nova-2"],
        "punctuate": ["true"],
        "smart_format": ["true"],
        "diarize": ["true"],
        "multichannel": ["false"],
        "numerals": ["true"],
        "keyterm": ["ACME", "Müller"],
    }


def test_the_whole_reply_becomes_the_transcript(service: Service) -> None:
    [analysis] = run().vcon.analysis
    reply = analysis.pop("body")
    assert analysis == {
        "type": "transcript",
        "dialog": 0,
        "vendor": "deepgram",
        "product": "transcription",
        "schema": "deepgram_prerecorded",
        "mediatype": "application/json",
        "encoding": "json",
    }
    asked = service.asked[0]
    query = {name: ",".join(values) for name, values in asked.query.items()}
    direct = httpx.post(f"{service.url}/v1/listen", params=query, content=AUDIO, headers=asked.headers)
    assert reply == direct.json()


def test_its_turns_can_be_read_and_its_voices_are_no_parties() -> None:
    said = turns(run().vcon)
    assert [(turn.speaker, turn.party, turn.text) for turn in said] == [
        ("0", None, "Hello, can you hear me?"),
        ("1", None, "Yes, I can."),
    ]


def test_only_the_dialogs_that_are_asked_for_are_heard(service: Service) -> None:
    io = run(call(AUDIO, AUDIO + b"1", AUDIO + b"2"), input_dialogs="1:")
    assert [analysis["dialog"] for analysis in io.vcon.analysis] == [1, 2]


def test_a_recording_that_has_one_is_passed_over(service: Service) -> None:
    io = run(call(AUDIO, AUDIO + b"1"), input_dialogs="0")
    io = run(io)
    assert [analysis["dialog"] for analysis in io.vcon.analysis] == [0, 1]
    with pytest.raises(NotApplicable, match="already"):
        run(io)


def test_the_same_recording_is_bought_once(service: Service) -> None:
    results = ResultsInMemory()
    first, second = (run(call(results=results)) for _ in range(2))
    assert len(service.asked) == 1
    assert first.vcon.analysis == second.vcon.analysis


@pytest.mark.parametrize("other", [{"language": "de"}, {"model": "nova-2"}, {"additional": {"numerals": True}}])
def test_other_options_are_another_purchase(service: Service, other: dict[str, Any]) -> None:
    results = ResultsInMemory()
    run(call(results=results))
    run(call(results=results), **other)
    assert len(service.asked) == 2


def test_a_conversation_without_recordings_goes_on() -> None:
    with pytest.raises(NotApplicable, match="no recording"):
        run(io_of(document(dialog=[{"type": "text", "body": "hi"}])))


def test_a_language_that_is_not_known_is_found_out(service: Service) -> None:
    run(language="auto")
    assert service.asked[0].query["detect_language"] == ["true"]
    assert "language" not in service.asked[0].query


def test_a_recording_that_is_too_short_is_passed_over_unheard(service: Service) -> None:
    short = io_of(document(dialog=[recording(AUDIO, duration=5)]))
    with pytest.raises(NotApplicable, match="no recording lasts 60 s or longer"):
        run(short, minimum_duration=60)
    assert service.asked == []


def test_a_length_that_cannot_be_measured_is_long_enough() -> None:
    assert run(minimum_duration=60).vcon.analysis


def test_what_deepgram_is_not_sure_of_is_not_written(service: Service) -> None:
    with pytest.raises(NotApplicable, match=r"no transcript has a confidence of 0\.99 or more"):
        run(minimum_confidence=0.99)
    assert run(minimum_confidence=0.9).vcon.analysis


def test_an_address_is_given_only_where_it_is_asked_for_and_allowed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://media.example.org/a.wav"

    def outside() -> ProcessorIO:
        return io_of(document(dialog=[{"type": "recording", "url": url}]), media=MediaInMemory({url: AUDIO}))

    run(outside(), send="url")
    monkeypatch.setattr(speech_engines, "_hosts", lambda: ("media.example.org",))
    run(outside())
    service.next.append(Answer(200, reply(b"", {})))
    run(outside(), send="url")
    assert [asked.body for asked in service.asked] == [AUDIO, AUDIO, b'{"url":"https://media.example.org/a.wav"}']


@pytest.mark.parametrize(("channels", "seconds"), [(1, 3.9), (2, 7.8)])
def test_every_channel_that_was_heard_by_itself_is_paid_for(service: Service, channels: int, seconds: float) -> None:
    answer = reply(AUDIO, {})
    answer["results"]["channels"] *= channels
    assert seconds_used(answer) == pytest.approx(seconds)


# --- what goes wrong -------------------------------------------------------------------------------------------


def test_without_a_key_it_says_what_to_set(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPGRAM_KEY")
    with pytest.raises(NotConfigured, match="not configured: the environment variable DEEPGRAM_KEY"):
        run()
    assert service.asked == []


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (refusal(401, "INVALID_AUTH"), PermanentError, r"refuses the key \(401 INVALID_AUTH\)"),
        (refusal(402, "ASR_PAYMENT_REQUIRED"), PermanentError, "credit is used up"),
        (refusal(403, "INSUFFICIENT_PERMISSIONS"), PermanentError, "choose another model"),
        (refusal(400, "Bad Request"), PermanentError, "recording of dialog 0: Deepgram refuses it"),
        (refusal(413), PermanentError, "too large"),
        (refusal(429, "TOO_MANY_REQUESTS"), TransientError, "429"),
        (refusal(503), TransientError, "503"),
        (Answer(504, b"<html>gateway", {"Content-Type": "text/html"}), TransientError, "504"),
        (Answer(200, b"<html>hello", {"Content-Type": "text/html"}), TransientError, "no JSON"),
        (Answer(200, {"hello": 1}), TransientError, "no transcription"),
        (Answer(200, {"metadata": {}, "results": {}}, cut=True), TransientError, "connection broke"),
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
    service.next.append(refusal(429, Retry_After="7"))
    with pytest.raises(TransientError) as raised:
        run()
    assert raised.value.retry_after == 7


def test_a_service_that_does_not_answer_is_given_up(service: Service) -> None:
    service.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match=r"did not answer within 0\.3 s"):
        run(answer_within=0.3)


def test_a_service_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(TransientError, match="cannot be reached"):
        run()


def test_what_was_bought_is_kept_when_the_next_one_fails(service: Service) -> None:
    results = ResultsInMemory()
    with pytest.raises(PermanentError):
        run(call(AUDIO, b"no audio", results=results))
    run(call(AUDIO, results=results))
    assert [asked.body == AUDIO for asked in service.asked] == [True, False]


@pytest.mark.parametrize("name", ["callback", "model", "tag"])
def test_what_has_its_own_option_or_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        DeepgramOptions.model_validate({"additional": {name: "x"}})


@pytest.mark.parametrize("option", ["api_key", "base_url"])
def test_key_and_address_stand_in_the_environment_only(option: str) -> None:
    with pytest.raises(ValidationError, match="write env:NAME"):
        DeepgramOptions.model_validate({option: "https://elsewhere.example.org"})

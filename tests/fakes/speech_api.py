"""Services that hear a recording in one HTTP request, as they are documented: OpenAI's /v1/audio/transcriptions (Groq
speaks the same), Hugging Face's task of speech recognition, vfun's form.

What is heard is made of the audio that comes in: its length, so that times can be checked, and a word for each of its
seconds, so that joins can be.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from email.parser import BytesParser
from typing import Any

import orjson
import soundfile

from tests.fakes.services import Answer, Asked, Service, service

KEY = "sk-test"
GROQ_KEY = "gsk-test"
HF_KEY = "hf-test"
VFUN_KEY = "vf-test"


def refusal(status: int, code: str | None = None, **headers: str) -> Answer:
    """An error object as OpenAI sends it."""
    error = {"message": "refused: you said 'my name is Alice'", "type": "error", "param": None, "code": code}
    return Answer(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def form_of(asked: Asked) -> tuple[dict[str, list[str]], str, bytes]:
    """The fields of a multipart form, its file's name and its file."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, list[str]] = {}
    name, data = "", b""
    for part in BytesParser().parsebytes(head + asked.body).get_payload():
        field = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
        body = part.get_payload(decode=True)  # type: ignore[union-attr]
        assert isinstance(body, bytes)
        if part.get_filename():  # type: ignore[union-attr]
            name, data = str(part.get_filename()), body  # type: ignore[union-attr]
        else:
            fields.setdefault(field.removesuffix("[]"), []).append(body.decode())
    return fields, name, data


def seconds_of(data: bytes) -> float:
    """How long a recording is; raises what soundfile raises."""
    return float(soundfile.info(io.BytesIO(data)).duration)


def heard(seconds: float) -> list[dict[str, Any]]:
    """A word for each second that began."""
    return [{"word": f"w{n}", "start": float(n), "end": n + 0.5} for n in range(int(seconds))]


def verbose(seconds: float) -> dict[str, Any]:
    """Whisper's answer with times: one segment for ten words."""
    words = heard(seconds)
    segments = [
        {
            "id": place // 10,
            "seek": 0,
            "start": run[0]["start"],
            "end": run[-1]["end"],
            "text": " " + " ".join(word["word"] for word in run).capitalize() + ".",
            "tokens": [1],
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.01,
        }
        for place in range(0, len(words), 10)
        if (run := words[place : place + 10])
    ]
    return {
        "task": "transcribe",
        "language": "english",
        "duration": seconds,
        "text": "".join(str(segment["text"]) for segment in segments).strip(),
        "segments": segments,
        "words": words,
        "usage": {"type": "duration", "seconds": int(seconds) + 1},
    }


def _openai(asked: Asked, key: str) -> Answer:
    if asked.headers.get("authorization") != f"Bearer {key}" and asked.headers.get("api-key") != key:
        return refusal(401, "invalid_api_key")
    fields, name, data = form_of(asked)
    model, form = fields["model"][0], fields.get("response_format", ["json"])[0]
    if len(data) > 26_214_400:
        return refusal(413)
    if not name.endswith((".flac", ".mp3", ".mp4", ".m4a", ".ogg", ".wav", ".webm")):
        return refusal(400, "invalid_file_format")
    if model.startswith("gpt-") and form not in ("json", "text", *(["diarized_json"] if "diarize" in model else [])):
        return refusal(400, "unsupported_value")
    try:
        seconds = seconds_of(data)
    except soundfile.SoundFileError:
        return refusal(400, "invalid_file_format")
    if "diarize" in model and seconds > 30 and "chunking_strategy" not in fields:
        return refusal(400, "chunking_strategy_required")
    text = " ".join(str(word["word"]) for word in heard(seconds))
    tokens = {"type": "tokens", "input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    if form == "verbose_json":
        known = verbose(seconds)
        if "word" not in fields.get("timestamp_granularities", []):
            del known["words"]
        return Answer(200, known)
    if form == "diarized_json":
        half = seconds / 2
        turns = [("A", 0.0, half, "hello"), ("B", half, seconds, "hi")]
        segments = [
            {"type": "transcript.text.segment", "id": f"seg_{n}", "start": s, "end": e, "text": t, "speaker": who}
            for n, (who, s, e, t) in enumerate(turns)
        ]
        return Answer(200, {"task": "transcribe", "duration": seconds, "text": "hello hi", "segments": segments})
    sure = {"logprobs": [{"token": "w", "logprob": -0.2, "bytes": [119]}]} if "include" in fields else {}
    return Answer(200, {"text": text, "usage": tokens, **sure})


def _hugging_face(asked: Asked) -> Answer:
    if asked.headers.get("authorization") != f"Bearer {HF_KEY}":
        return Answer(401, {"error": "Invalid username or password."})
    if not asked.headers.get("content-type", "").startswith("application/json"):
        return Answer(200, {"text": " Hello there."})
    wanted = orjson.loads(asked.body)["parameters"]["return_timestamps"]
    if wanted == "word":
        chunks = [{"text": " Hello", "timestamp": [0.0, 0.4]}, {"text": " there.", "timestamp": [0.5, None]}]
    else:
        chunks = [{"text": " Hello there.", "timestamp": [0.0, 1.0]}]
    return Answer(200, {"text": " Hello there.", "chunks": chunks})


def _vfun(asked: Asked) -> Answer:
    if asked.headers.get("authorization") != f"Bearer {VFUN_KEY}":
        return Answer(401, {"detail": "no"})
    fields, _, data = form_of(asked)
    body: dict[str, Any] = {
        "transcript": {"text": "Hello there.", "language": "en", "duration": seconds_of(data), "confidence": 0.9},
        "segments": [
            {"id": 0, "start": 0.0, "end": 1.0, "text": "Hello", "confidence": 0.9, "words": [0]},
            {"id": 1, "start": 1.0, "end": 2.0, "text": "there.", "confidence": 0.9, "words": [1]},
        ],
        "words": [
            {"id": 0, "start": 0.0, "end": 0.5, "text": "Hello", "confidence": 0.9},
            {"id": 1, "start": 1.0, "end": 1.5, "text": "there.", "confidence": 0.8},
        ],
        "metadata": {"created_at": "2026-11-02T09:00:00Z", "processed_at": "2026-11-02T09:00:01Z", "provider": "vfun"},
    }
    if fields["diarize"] == ["true"]:
        for number, segment in enumerate(body["segments"]):
            segment["speaker"] = number
    return Answer(200, orjson.dumps(body).decode())  # JSON within JSON, as it may come


@contextlib.contextmanager
def fake_speech_api() -> Iterator[Service]:
    """Run all of them on 127.0.0.1, each below a path of its own: ``/v1`` (OpenAI), ``/groq``, ``/hf``, ``/vfun``."""

    def well(asked: Asked) -> Answer:
        if asked.path == "/v1/audio/transcriptions":
            return _openai(asked, KEY)
        if asked.path == "/groq/audio/transcriptions":
            return _openai(asked, GROQ_KEY)
        if asked.path.startswith("/openai/deployments/") and asked.path.endswith("/audio/transcriptions"):
            return _openai(asked, KEY) if asked.query.get("api-version") else refusal(404)
        if asked.path.startswith("/hf/models/"):
            return _hugging_face(asked)
        return _vfun(asked) if asked.path == "/vfun/wtf" else refusal(404)

    with service(well) as fake:
        yield fake

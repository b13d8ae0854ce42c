"""Deepgram's /v1/listen for recorded audio as it is documented: keys, audio that is none, replies by options."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from tests.fakes.services import Answer, Asked, Service, service

KEY = "dg-test"
TURNS: Sequence[tuple[int, str]] = ((0, "Hello, can you hear me?"), (1, "Yes, I can."))
"""(voice, what it says) by default."""
_AUDIO = (b"RIFF", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xe3", b"OggS", b"fLaC")


def refusal(status: int, code: str = "ERROR", **headers: str) -> Answer:
    """An error object as Deepgram sends it."""
    body = {"err_code": code, "err_msg": "refused: Alice", "request_id": "00000000-0000-0000-0000-000000000002"}
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def reply(audio: bytes, query: dict[str, list[str]], said: Sequence[tuple[int, str]] = TURNS) -> dict[str, Any]:
    """The reply on this audio: half a second for each word; paragraphs and voices only if they are asked for."""
    diarize = query.get("diarize") == ["true"]
    words: list[dict[str, Any]] = []
    paragraphs: list[dict[str, Any]] = []
    for voice, text in said:
        first = len(words)
        for word in text.split():
            start = len(words) * 0.5
            plain = word.strip(".,?!").lower()
            entry = {"word": plain, "start": start, "end": start + 0.4, "confidence": 0.98, "punctuated_word": word}
            words.append({**entry, **({"speaker": voice, "speaker_confidence": 0.9} if diarize else {})})
        begin, end = words[first]["start"], words[-1]["end"]
        sentence = {"text": text, "start": begin, "end": end}
        about = {"sentences": [sentence], "num_words": len(words) - first, "start": begin, "end": end}
        paragraphs.append({**about, **({"speaker": voice} if diarize else {})})
    best: dict[str, Any] = {
        "transcript": " ".join(text for _, text in said),
        "confidence": 0.98,
        "words": words,
    }
    if diarize or query.get("smart_format") == ["true"]:
        best["paragraphs"] = {"transcript": "\n\n".join(text for _, text in said), "paragraphs": paragraphs}
    model = query.get("model", ["base"])[0]
    return {
        "metadata": {
            "transaction_key": "deprecated",
            "request_id": "00000000-0000-0000-0000-000000000001",
            "sha256": hashlib.sha256(audio).hexdigest(),
            "created": "2026-11-02T09:00:00.000Z",
            "duration": words[-1]["end"] if words else 1.0,
            "channels": 1,
            "models": ["m1"],
            "model_info": {"m1": {"name": f"general-{model}", "version": "2025-01-09.0", "arch": model}},
        },
        "results": {"channels": [{"alternatives": [best]}]},
    }


@contextlib.contextmanager
def fake_deepgram(said: Sequence[tuple[int, str]] = TURNS) -> Iterator[Service]:
    """Run one on 127.0.0.1; it hears these turns in every recording."""

    def well(asked: Asked) -> Answer:
        if asked.path != "/v1/listen":
            return refusal(404)
        if asked.headers.get("authorization") != f"Token {KEY}":
            return refusal(401, "INVALID_AUTH")
        if not asked.body.startswith(_AUDIO):
            return refusal(400, "Bad Request")
        return Answer(200, reply(asked.body, asked.query, said))

    with service(well) as fake:
        yield fake

"""A transcription as a WTF value (draft-howe-vcon-wtf-extension): the body of what ``transcribe`` writes.

Why WTF: it is the one published shape with words, confidences and speakers that no vendor owns; readers of it need not
know which engine heard the call. Two members are added to its segments: ``channel``, and ``party`` where it is known.
What an engine does not say is left out, never made up: a word without a confidence has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcon_platform.processors.speech import Segment, SpeechEngine, SpokenWord, Transcription


def wtf_body(
    heard: Transcription,
    who: Sequence[dict[str, Any]],
    engine: SpeechEngine,
    *,
    created_at: Any = None,
    keep_reply: bool = True,
) -> dict[str, Any]:
    """The value. ``who``: the members of each segment that say whose it is; ``created_at``: when the dialog began. A
    confidence is 0 where nothing was said: there is nothing to be sure of."""
    segments: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for segment, members in zip(heard.segments, who, strict=True):
        first = len(words)
        words += [_word(first + place, word, members) for place, word in enumerate(segment.words)]
        segments.append(_segment(len(segments), segment, members, list(range(first, len(words)))))
    confidence = heard.confidence if heard.segments else 0.0
    metadata = {
        "created_at": created_at,
        "processed_at": heard.processed_at,
        "provider": engine.vendor,
        "model": engine.model,
        "model_version": engine.version,
        "audio": {"duration": heard.duration, "channels": heard.channels},
    }
    transcript = {
        "text": " ".join(segment.text for segment in heard.segments),
        "language": heard.language or None,
        "duration": heard.duration,
        "confidence": None if confidence is None else round(confidence, 4),
    }
    body = {
        "transcript": _told(transcript),
        "segments": segments,
        "words": words,
        "metadata": {member: value for member, value in metadata.items() if value},
    }
    if keep_reply and heard.reply is not None:
        body["extensions"] = {engine.vendor: heard.reply}
    return body


def _word(identity: int, word: SpokenWord, who: dict[str, Any]) -> dict[str, Any]:
    return _told(
        {
            "id": identity,
            "start": word.start,
            "end": word.end,
            "text": word.text,
            "confidence": word.confidence,
            "speaker": who.get("speaker"),
        }
    )


def _segment(identity: int, segment: Segment, who: dict[str, Any], words: list[int]) -> dict[str, Any]:
    told = {
        "id": identity,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "confidence": None if segment.confidence is None else round(segment.confidence, 4),
        **who,
    }
    return {**_told(told), "words": words}


def _told(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

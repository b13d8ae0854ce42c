"""What of a conversation is looked at for personal data, and the options that every redactor shares.

Belongs here: turns as the detector's lines, where each word of a turn stands in its text, the language that is
refused. Not here: finding (``personal_data.py``), what a copy holds (``redact_text_copy.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import Field, field_validator

from vcon_platform.processors.base import PermanentError, ProcessorOptions
from vcon_platform.processors.personal_data_labels import LABELS, Label, Line, Span
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.text import message_text
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, Turn, turns


class DetectionOptions(ProcessorOptions):
    """What every processor that looks for personal data can be told."""

    find: tuple[Label, ...] = Field(
        default=LABELS,
        min_length=1,
        title="Find",
        description="Which kinds of personal data are looked for. All of them, unless set. All kinds of numbers go "
        "together, and people with places: one is taken for another. NAME is every proper noun, of products too; "
        "without it, names that the model does not know stay.",
    )
    words: tuple[str, ...] = Field(
        default=(),
        max_length=1_000,
        title="Words",
        description="Words and texts that are masked wherever they occur, in any case.",
    )
    keep: tuple[str, ...] = Field(
        default=(),
        max_length=1_000,
        title="Keep",
        description="Words and texts that are left alone though they look like personal data: the company's own name, "
        "its products, its telephone number.",
    )
    other_languages: Literal["refuse", "redact"] = Field(
        default="refuse",
        title="Other languages",
        description="A transcript that says it is not English: refuse it, or redact it all the same. The detector "
        "knows English; in other languages it finds numbers and addresses and misses names.",
    )

    without_capitals: Literal["refuse", "redact"] = Field(
        default="refuse",
        title="Without capitals",
        description="A transcript in small letters only, or in capitals only: refuse it, or redact it all the same. "
        "Without capitals four of ten names and most places are missed; numbers are found.",
    )

    @field_validator("words", "keep")
    @classmethod
    def _say_something(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not text.strip() or len(text) > 200 for text in texts):
            raise ValueError("each must have 1 to 200 characters")
        return texts


@dataclass(frozen=True, slots=True)
class Looked:
    """One turn and what was found in its text. ``places``: where each of its words stands in the text; None where words
    and text do not fit together."""

    turn: Turn
    spans: Sequence[Span]
    places: Sequence[tuple[int, int]] | None


def looked_through(
    vcon: Vcon, options: DetectionOptions, further: Sequence[str] = ()
) -> tuple[list[Looked], list[list[Span]]]:
    """Every turn with what was found in it, and what was found in ``further`` texts of the document (a subject, a
    summary): a name that is found once is found in all of them.

    Raises PermanentError for a transcript in another language, or without capitals, if the options refuse it.
    """
    if options.other_languages == "refuse":
        _refuse_other_languages(vcon)
    said = turns(vcon)
    if options.without_capitals == "refuse":
        _refuse_without_capitals(vcon, said)
    lines = [Line(turn.text, _voice(turn)) for turn in said]
    for text in further:
        lines += [_APART, _APART, _APART, Line(text, "further")]
    from vcon_platform.processors.personal_data import find
    from vcon_platform.processors.personal_data_known import known_of

    found = find(lines, known=known_of(vcon.data), labels=options.find, words=options.words, keep=options.keep)
    looked = [Looked(turn, spans, word_places(turn)) for turn, spans in zip(said, found, strict=False)]
    return looked, found[len(said) + 3 :: 4]


_APART = Line("")
"""Between texts that have nothing to do with one another: a question of one is not answered by the next."""


def _voice(turn: Turn) -> object:
    """Whose turn it is; the same for all turns of which nobody knows."""
    if turn.party is not None:
        return turn.party
    return turn.dialog, turn.speaker, turn.channel


def word_places(turn: Turn) -> list[tuple[int, int]] | None:
    """(begin, end) of each word in the turn's text. None where there are none, one is not there, or letters and digits
    of the text belong to no word: then nothing may be concluded from the words."""
    if not turn.words:
        return None
    places: list[tuple[int, int]] = []
    done = 0
    for word in turn.words:
        begin = turn.text.find(word.text, done)
        if begin < 0 or any(letter.isalnum() for letter in turn.text[done:begin]):
            return None
        done = begin + len(word.text)
        places.append((begin, done))
    return None if any(letter.isalnum() for letter in turn.text[done:]) else places


# --- language --------------------------------------------------------------------------------------------------


def _refuse_other_languages(vcon: Vcon) -> None:
    for index, entry in enumerate(vcon.analysis):
        if isinstance(entry, dict) and entry.get("type") in TRANSCRIPT_TYPES:
            language = _language(entry.get("body"))
            if language and not language.casefold().startswith(("en", "und", "multi")):
                raise PermanentError(
                    f"/analysis/{index} says it is in another language than English, which is all that the detector "
                    "knows; translate it first, or set other_languages to redact"
                )


_ENOUGH = 200
_FEW = 0.002
"""Letters of a transcript from which its spelling can be judged, and the share of one case that is none."""


def _refuse_without_capitals(vcon: Vcon, said: Sequence[Turn]) -> None:
    """Messages are not judged: people write them as they like, and no other spelling of them can be had."""
    text = "".join(turn.text for turn in said if turn.dialog is None or not message_text(vcon.dialog[turn.dialog]))
    capital, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
    if capital + small >= _ENOUGH and min(capital, small) < _FEW * (capital + small):
        raise PermanentError(
            "the transcript is in letters of one case, in which most names cannot be found; have it made with "
            "punctuation and capitals (Deepgram: smart_format), or set without_capitals to redact"
        )


def _language(body: Any) -> str:
    """The language a transcript says it is in, as WTF, Whisper and Deepgram write it; "" where it does not."""
    if isinstance(body, str) and body.lstrip()[:1] == "{":
        try:
            body = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return ""
    if not isinstance(body, dict):
        return ""
    transcript, results = body.get("transcript"), body.get("results")
    channels = results.get("channels") if isinstance(results, dict) else None
    first = channels[0] if isinstance(channels, list) and channels else None
    told = (
        transcript.get("language") if isinstance(transcript, dict) else None,
        body.get("language"),
        first.get("detected_language") if isinstance(first, dict) else None,
    )
    return next((language for language in told if isinstance(language, str)), "")

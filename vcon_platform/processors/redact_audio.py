"""The processor ``redact_audio``: the recordings without the words that are personal data.

Belongs here: from findings to stretches of a recording, margins, hearing the result again. Not here: finding
(``personal_data.py``), covering and encoding (``redact_audio_file.py``), the copy (``redact_text_copy.py``).

Word times are guesses: a recogniser is off by a tenth of a second now and then, and drops words it is not sure of. So
a stretch reaches beyond its words on both sides, over the pauses within it, and over a gap beside it in which nothing
was understood, because that is where a dropped digit hides. A turn whose words have no times, or do not fit its text,
is covered whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from vcon_platform.processors.audio import AudioError
from vcon_platform.processors.base import Effects, NotApplicable, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.personal_data_labels import Line
from vcon_platform.processors.recordings import reading, recording_of, recordings
from vcon_platform.processors.redact_audio_file import Redacted, Stretch, joined, redacted_file
from vcon_platform.processors.redact_text_copy import copy_in_hand, hand_on, new_copy
from vcon_platform.processors.redact_text_lines import DetectionOptions, Looked, looked_through
from vcon_platform.processors.speech import SpeechEngine
from vcon_platform.vcon.media import MEDIA_SCHEME, encode_base64url

_GAP = 1.0
"""Seconds beside a stretch in which no word was understood, up to which they are covered too."""
_BEYOND = 2.0
"""Seconds that a transcript may be longer than its recording: more, and it is another one's."""


class RedactAudioOptions(DetectionOptions):
    """What ``redact_audio`` can be told."""

    redaction_type_label: str = Field(
        default="personal data",
        min_length=1,
        max_length=100,
        title="Type",
        description="What the copy says was taken out of it (redacted.type), unless redact_text made it already.",
    )
    cover: Literal["tone", "silence"] = Field(
        default="tone", title="Cover", description="What is heard in the place of the words."
    )
    margin: float = Field(
        default=0.3,
        ge=0.05,
        le=5,
        title="Margin",
        description="Seconds that are covered before the first and after the last word of a finding.",
    )
    hear_again: bool = Field(
        default=False,
        title="Hear again",
        description="True: the result is transcribed on this machine, and what is found in it is covered as well. "
        "Takes as long as transcribing; worth it where cards are read out.",
    )


class RedactAudio(Processor[RedactAudioOptions]):
    """Personal data out of recordings."""

    name = "redact_audio"
    version = "1.0.0"
    title = "Redact audio"
    description = (
        "Puts each recording into a redacted copy of the vCon, with a tone or silence over the words that are personal "
        "data, on all channels. The copy that redact_text made in this pipeline is taken, else one is added. Needs "
        "transcripts with times."
    )
    effects = Effects(costs=True, changes=True)
    options = RedactAudioOptions

    def __init__(self, engine: Callable[[], SpeechEngine] | None = None) -> None:
        """``engine`` gives what hears the result again; None: the model of this machine."""
        self._engine = engine or _local

    def process(self, io: ProcessorIO, options: RedactAudioOptions) -> ProcessorIO:
        """Raises NotApplicable where there is no recording, or its redacted form is in the copy already;
        PermanentError for a recording without a transcript with times, or with another recording's, and one that
        cannot be decoded. Nothing is written unless every recording could be redacted."""
        wanted = list(recordings(io.vcon))
        if not wanted:
            raise NotApplicable("no recording to redact")
        present = copy_in_hand(io)
        if present is not None and any("body" in each or "url" in each for each in present.dialog if _recorded(each)):
            raise NotApplicable("a redacted copy with the recordings of this vCon was made in this pipeline already")
        looked, _ = looked_through(io.vcon, options)
        done: dict[int, Redacted] = {}
        for index, dialog in wanted:
            turns = _turns_of(index, looked, len(wanted))
            done[index] = self._redacted(io, options, index, dialog, turns)

        copy = present or new_copy(io, options.redaction_type_label)
        for index, redacted in done.items():
            entry = {**copy.dialog[index], "mediatype": redacted.mediatype, **_content(io, redacted)}
            copy.put("dialog", entry, index)
        if present is None:
            hand_on(io, copy)
        return io

    def _redacted(
        self,
        io: ProcessorIO,
        options: RedactAudioOptions,
        index: int,
        dialog: dict[str, Any],
        turns: Sequence[Looked],
    ) -> Redacted:
        stretches = stretches_of(turns, options.margin)
        with reading(index):
            source = io.context.media.body(dialog)
        try:
            redacted = redacted_file(source, stretches, options.cover)
            _refuse_anothers(index, turns, redacted.duration)
            if options.hear_again:
                further = self._still_heard(io, options, index, redacted)
                if further:
                    redacted = redacted_file(source, [*stretches, *further], options.cover)
        except AudioError as error:
            raise PermanentError(
                f"recording of dialog {index} cannot be decoded as audio ({error}); replace it and re-execute"
            ) from None
        return redacted

    def _still_heard(
        self, io: ProcessorIO, options: RedactAudioOptions, index: int, redacted: Redacted
    ) -> list[Stretch]:
        """Stretches in which there is still something to be found, as the engine of this machine hears it."""
        again = {"body": encode_base64url(redacted.data), "encoding": "base64url"}
        heard = self._engine().hear(recording_of(io, self, index, again), "en")
        lines = [Line(" ".join(word.text.strip() for word in each.words), each.channel) for each in heard.segments]
        from vcon_platform.processors.personal_data import find
        from vcon_platform.processors.personal_data_known import known_of

        found = find(lines, known=known_of(io.vcon.data), labels=options.find, words=options.words, keep=options.keep)
        stretches: list[Stretch] = []
        for segment, spans in zip(heard.segments, found, strict=True):
            place = 0
            for word in segment.words:
                end = place + len(word.text.strip())
                if any(span.start < end and place < span.end for span in spans):
                    begin, finish = _spoken(word.text, word.start, word.end)
                    stretches.append((begin - options.margin, finish + options.margin))
                place = end + 1
        return stretches


def _local() -> SpeechEngine:
    from vcon_platform.processors.speech_local import local_engine

    return local_engine()


def _recorded(dialog: object) -> bool:
    return isinstance(dialog, dict) and dialog.get("type") == "recording"


def _content(io: ProcessorIO, redacted: Redacted) -> dict[str, str]:
    """The new recording where the platform keeps bodies of its size: beside the document where the media store is at
    hand, else in it."""
    keep = getattr(io.context.media, "keep_chunks", None)
    most = getattr(io.context.media, "inline_max", None)
    if keep is not None and most is not None and len(redacted.data) > most:
        token = keep([redacted.data])
        return {"url": f"{MEDIA_SCHEME}{token}", "content_hash": token}
    return {"body": encode_base64url(redacted.data), "encoding": "base64url"}


# --- from findings to stretches --------------------------------------------------------------------------------


def _turns_of(index: int, looked: Sequence[Looked], recorded: int) -> list[Looked]:
    """The turns of a recording's transcript; one that names no dialog is that of the only recording. Raises
    PermanentError where there is none."""
    own = [each for each in looked if each.turn.dialog == index]
    if not own and recorded == 1:
        own = [each for each in looked if each.turn.dialog is None]
    if not own:
        raise PermanentError(
            f"the recording of dialog {index} has no transcript that says where its words are; put transcribe before "
            "redact_audio"
        )
    return own


def _refuse_anothers(index: int, turns: Sequence[Looked], duration: float) -> None:
    last = max((end for each in turns if (end := each.turn.end) is not None), default=0.0)
    last = max([last, *(word.end for each in turns for word in each.turn.words if word.end is not None)])
    if last > duration + _BEYOND:
        raise PermanentError(
            f"the transcript of dialog {index} goes on to {last:.0f} s, its recording ends at {duration:.0f} s: it is "
            "another recording's; transcribe this one and re-execute"
        )


def stretches_of(turns: Sequence[Looked], margin: float) -> list[Stretch]:
    """The stretches of a recording that are to be covered. Raises PermanentError for a finding in a turn without any
    time."""
    covered: list[Stretch] = []
    kept: list[Stretch] = []
    for place, each in enumerate(turns):
        hits = list(_hits(each))
        if each.spans and not hits:
            covered.append(_whole(each, turns[place + 1 :], margin))
            continue
        covered += hits
        kept += [
            (word.start, word.end)
            for word in each.turn.words
            if word.start is not None and word.end is not None and not _within(word.start, word.end, hits)
        ]
    kept.sort()
    return joined(_wide(stretch, kept, margin) for stretch in covered)


def _hits(each: Looked) -> Iterator[Stretch]:
    """From the first word of each finding to its last; nothing where a time is missing, or words and text do not fit
    together."""
    if each.places is None:
        return
    found: list[Stretch] = []
    for span in each.spans:
        words = [
            word
            for word, (begin, end) in zip(each.turn.words, each.places, strict=True)
            if span.start < end and begin < span.end
        ]
        times = [_spoken(w.text, w.start, w.end) for w in words if w.start is not None and w.end is not None]
        if not words or len(times) < len(words):
            return
        found.append((min(min(time) for time in times), max(max(time) for time in times)))
    yield from found


_PER_DIGIT = 0.3
"""Seconds that saying a digit takes. A word of four digits that is said to last half a second began earlier, or went
on: recognisers that write numbers in one word are most wrong about those."""


def _spoken(text: str, start: float, end: float) -> Stretch:
    """From when to when a word was said, at the least."""
    digits = sum(letter.isdigit() for letter in text)
    lacking = max(0.0, digits * _PER_DIGIT - abs(end - start)) if digits > 1 else 0.0
    return min(start, end) - lacking, max(start, end) + lacking


def _within(start: float, end: float, stretches: Sequence[Stretch]) -> bool:
    return any(begin <= start and end <= finish for begin, finish in stretches)


def _whole(each: Looked, following: Sequence[Looked], margin: float) -> Stretch:
    """All of a turn; without an end it goes on to the next turn's beginning, else to the end of the recording."""
    turn = each.turn
    if turn.start is None:
        raise PermanentError(
            "a turn in which personal data was found has no time in the transcript; transcribe the recording with word "
            "times and re-execute"
        )
    later = next((n.turn.start for n in following if n.turn.start is not None and n.turn.start > turn.start), math.inf)
    end = max(later if turn.end is None else turn.end, *(w.end for w in turn.words if w.end is not None), turn.start)
    return turn.start - margin, end + margin


def _wide(stretch: Stretch, kept: Sequence[Stretch], margin: float) -> Stretch:
    """With its margins, and with the gaps beside it in which nothing was understood."""
    begin, end = stretch
    before = max((finish for start, finish in kept if start < begin), default=0.0)
    after = min((start for start, finish in kept if finish > end), default=math.inf)
    first = before if 0 < begin - before <= _GAP else begin
    last = after if 0 < after - end <= _GAP else end
    return min(first, begin - margin), max(last, end + margin)

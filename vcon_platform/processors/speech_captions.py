"""A transcription as captions, one word at a time: SubRip (SRT) and Advanced SubStation Alpha (ASS).

Belongs here: writing them. Not here: reading captions (``vcon/captions.py``). Times are rounded to what each format
holds: milliseconds and hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Iterator

from vcon_platform.processors.speech import Segment, SpokenWord, Transcription

_ASS_HEAD = """\
[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,24,&H00FFFFFF,&H000000FF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_SPOKEN, _REST = r"{\1c&H0000FF00&}", r"{\r}"
"""Green while it is spoken, then as before."""


def word_srt(heard: Transcription) -> str:
    """Every word as a caption of its own."""
    words = (word for segment in heard.segments for word in segment.words)
    cues = (
        f"{number}\n{_clock(word.start, 1000, ',')} --> {_clock(word.end, 1000, ',')}\n{_line(word.text)}\n"
        for number, word in enumerate(words, 1)
    )
    return "\n".join(cues)


def word_ass(heard: Transcription) -> str:
    """Every segment, for as long as each of its words is spoken, with that word coloured."""
    return _ASS_HEAD + "".join(
        f"Dialogue: 0,{_clock(word.start, 100, '.')},{_clock(word.end, 100, '.')},Default,,0,0,0,,{text}\n"
        for segment in heard.segments
        for word, text in _coloured(segment)
    )


def spaced(segment: Segment) -> Iterator[tuple[SpokenWord, str]]:
    """Each word with the blank that stands before it in the text, as Whisper gives its words: joined they are the
    text, also in languages that put no blanks between words."""
    place = 0
    for word in segment.words:
        found = segment.text.find(word.text, place)
        if found < 0:  # a service's words need not be spelled as its text is
            yield word, f" {word.text}"
            continue
        blank = " " if found == 0 or segment.text[found - 1].isspace() else ""
        place = found + len(word.text)
        yield word, blank + word.text


def _coloured(segment: Segment) -> Iterator[tuple[SpokenWord, str]]:
    words = [(word, _ass_text(text)) for word, text in spaced(segment)]
    for at, (word, _) in enumerate(words):
        shown = (f"{_SPOKEN}{text}{_REST}" if place == at else text for place, (_, text) in enumerate(words))
        yield word, "".join(shown).strip()


def _line(text: str) -> str:
    return " ".join(text.split())


def _ass_text(text: str) -> str:
    """Without what ASS takes for commands: braces and backslashes."""
    return text.translate({ord("{"): "(", ord("}"): ")", ord("\\"): "/", ord("\n"): " ", ord("\r"): None})


def _clock(seconds: float, parts: int, point: str) -> str:
    """``0:00:01.25`` with hundredths, ``00:00:01,250`` with thousandths."""
    whole, part = divmod(round(seconds * parts), parts)
    hours, rest = divmod(whole, 3600)
    digits = len(str(parts)) - 1
    hour = f"{hours:02}" if parts == 1000 else str(hours)
    return f"{hour}:{rest // 60:02}:{rest % 60:02}{point}{part:0{digits}}"

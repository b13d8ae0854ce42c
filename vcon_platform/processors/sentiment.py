"""The processor ``sentiment``: how people felt, in the whole conversation, each party, and the turns that show it.

Belongs here: the task, voices, making one answer of those about parts. Not here: the question
(``model_question.py``), turns that an answer points at (``conversation_answer.py``).

Answers about parts of a long conversation are put together here and not by the model: a mean, weighted by how much was
said, is the same at every run. Parties are told to the model as numbers of voices, and so it answers: a name that
somebody chose for himself is data, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.conversation_answer import (
    ConversationOptions,
    TagName,
    answered,
    dialogs_of,
    lines_of,
    pin,
    question_of,
    reference,
    table_of,
    together,
)
from vcon_platform.processors.conversation_lines import Line
from vcon_platform.processors.model_options import check_wanted
from vcon_platform.processors.model_question import Answer, ModelProcessor, ask_each_part
from vcon_platform.processors.model_steps import analysis_of
from vcon_platform.vcon.turns import Turn

_SHARE = 2.0
"""Of ``max_tokens``: estimated tokens of conversation in a part where turns are told too, of which each takes about
20 tokens of answer and the most are neutral."""
_NEUTRAL = 0.15
"""A mean this near to 0 is neutral."""
_LABELS = ("positive", "neutral", "negative", "mixed")
_TASK = (
    "How do the people in this conversation feel? Judge by what they say, not by what it is about: who calmly reports "
    "a loss is neutral. Give overall, for the whole conversation, a label and a score from -1 (very negative) by 0 "
    "(neutral) to 1 (very positive); mixed means clearly both."
)
_VOICES = (
    " Behind its number, each message names the voice that says it. Give in voices, for each voice, the same, and "
    "start and end: its score at the beginning of the conversation and at its end."
)
_TURNS = (
    " Give in turns each message that is not neutral: its number, which stands after #, as line, a label and a score."
)


class SentimentOptions(ConversationOptions):
    """What ``sentiment`` can be told."""

    detail: Literal["overall", "parties", "turns"] = Field(
        default="parties",
        title="Detail",
        description="overall: the whole conversation; parties: each party, too, with its beginning and end; turns: "
        "also every turn that is not neutral.",
    )
    tag: TagName = Field(
        default="",
        title="Tag",
        description="Name of a tag that is given the overall label, e.g. sentiment: then tag_router and only_if can go "
        "by sentiment:negative. Empty: none.",
    )
    analysis_type: str = Field(
        default="sentiment", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class Sentiment(ModelProcessor[SentimentOptions]):
    """How people felt."""

    name = "sentiment"
    version = "1.0.0"
    title = "Sentiment"
    description = (
        "Asks a language model how people felt: overall, each party from beginning to end, and on request the turns "
        "that show it. Sets the parameter sentiment to {label, score}."
    )
    effects = replace(ModelProcessor.effects, purpose="sentiment_analysis")  # people deny this one by name
    options = SentimentOptions

    def process(self, io: ProcessorIO, options: SentimentOptions) -> ProcessorIO:
        """Raises NotApplicable where nothing was said, and what the question raises. What was asked before is not asked
        again; its parameter and tag are set all the same."""
        check_wanted(io.vcon, options)
        table = table_of(io.vcon, options)
        lines = lines_of(io.vcon, options, table)
        question = question_of(options, lines, options.detail, _TASK)
        body = answered(io.vcon, options.analysis_type, question)
        if not _is_ours(body):
            answer = _asked(io, self, options, _Voices.of(lines, table))
            body = answer.value
            dialogs, members = dialogs_of(lines, table), {"question": question}
            kind = options.analysis_type
            io.vcon.append("analysis", analysis_of(kind, dialogs, self, options, answer, body, members))
        overall = body["overall"]
        io.parameters[self.name] = {"label": overall["label"], "score": overall["score"]}
        if options.tag:
            pin(io.vcon, options.tag, overall["label"])
        return io


def _is_ours(body: Any) -> bool:
    overall = body.get("overall") if isinstance(body, dict) else None
    return (
        isinstance(overall, dict) and overall.get("label") in _LABELS and isinstance(overall.get("score"), int | float)
    )


# --- voices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Voices:
    """Who speaks in each line, by a number from 1 on; a line of nobody known has none. ``told``: what is kept of each
    voice, a party's index or what the transcript calls it."""

    table: Sequence[Turn]
    lines: list[Line]
    by_line: dict[int, int]
    told: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, lines: Sequence[Line], table: Sequence[Turn]) -> _Voices:
        numbers: dict[tuple[Any, ...], int] = {}
        by_line: dict[int, int] = {}
        told: dict[int, dict[str, Any]] = {}
        for line in lines:
            if line.number is None:
                continue
            turn = table[line.number]
            if (known := _who(turn)) is not None:
                voice = numbers.setdefault(tuple(known.items()), len(numbers) + 1)
                by_line[line.number], told[voice] = voice, known
        return cls(table, [_with_voice(line, by_line) for line in lines], by_line, told)

    def within(self, lines: Sequence[Line]) -> dict[int, int]:
        """The voices of these lines, with how many characters each says."""
        found: dict[int, int] = {}
        for line in lines:
            if (voice := self.by_line.get(-1 if line.number is None else line.number)) is not None:
                found[voice] = found.get(voice, 0) + len(line.text)
        return found


def _who(turn: Turn) -> dict[str, Any] | None:
    if turn.party is not None:
        return {"party": turn.party}
    known = {"dialog": turn.dialog, "speaker": turn.speaker, "channel": turn.channel}
    told = {name: value for name, value in known.items() if value is not None}
    return told if "speaker" in told or "channel" in told else None


def _with_voice(line: Line, by_line: Mapping[int, int]) -> Line:
    voice = by_line.get(-1 if line.number is None else line.number)
    if voice is None:
        return line
    return replace(line, head=line.head.replace(f"#{line.number} ", f"#{line.number} voice {voice} ", 1))


# --- the question ----------------------------------------------------------------------------------------------

_FEELING = {
    "label": {"type": "string", "enum": list(_LABELS)},
    "score": {"type": "number", "minimum": -1, "maximum": 1},
}
_SCORE = _FEELING["score"]


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _schema(detail: str) -> dict[str, Any]:
    members: dict[str, Any] = {"overall": _object(**_FEELING)}
    if detail != "overall":
        voice = _object(voice={"type": "integer"}, **_FEELING, start=_SCORE, end=_SCORE)
        members["voices"] = {"type": "array", "items": voice}
    if detail == "turns":
        members["turns"] = {"type": "array", "items": _object(line={"type": "integer"}, **_FEELING)}
    return _object(**members)


def _asked(io: ProcessorIO, processor: Sentiment, options: SentimentOptions, voices: _Voices) -> Answer:
    detail = options.detail
    parts = ask_each_part(
        io,
        processor,
        options,
        task=_TASK + (_VOICES if detail != "overall" else "") + (_TURNS if detail == "turns" else ""),
        said=voices.lines,
        schema=_schema(detail),
        check=lambda value, lines: _fault(value, lines, voices),
        most=max(200, int(options.max_tokens * _SHARE)) if detail == "turns" else None,
    )
    return together([answer for _, answer in parts], _body(parts, voices, detail))


def _fault(value: Any, lines: Sequence[Line], voices: _Voices) -> str | None:
    wanted = sorted(voices.within(lines))
    if "voices" in value and sorted(each["voice"] for each in value["voices"]) != wanted:
        return f"/voices must hold each voice once, which are the numbers {', '.join(map(str, wanted)) or '(none)'}"
    told = [each["line"] for each in value.get("turns", ())]
    if set(told).difference(line.number for line in lines):
        return "/turns names numbers in line that no message has; give only numbers that stand after #"
    if len(set(told)) < len(told):
        return "/turns names a line twice"
    for each in (value["overall"], *value.get("voices", ()), *value.get("turns", ())):
        if (each["label"] == "positive" and each["score"] <= 0) or (each["label"] == "negative" and each["score"] >= 0):
            return "a score contradicts its label: positive is above 0, negative below"
    return None


# --- one answer ------------------------------------------------------------------------------------------------


def _body(parts: Sequence[tuple[list[Line], Answer]], voices: _Voices, detail: str) -> dict[str, Any]:
    said = [sum(len(line.text) for line in lines) for lines, _ in parts]
    values = [answer.value for _, answer in parts]
    body: dict[str, Any] = {"overall": mean([value["overall"] for value in values], said)}
    if detail != "overall":
        body["parties"] = [_party(voice, parts, voices) for voice in sorted(voices.told)]
    if detail == "turns":
        told = {each["line"]: each for value in values for each in value["turns"]}
        body["turns"] = [
            {**reference(voices.table[line]), "label": told[line]["label"], "score": _rounded(told[line]["score"])}
            for line in sorted(told)
        ]
    return body


def _party(voice: int, parts: Sequence[tuple[list[Line], Answer]], voices: _Voices) -> dict[str, Any]:
    told, said = [], []
    for lines, answer in parts:
        for each in answer.value["voices"]:
            if each["voice"] == voice:
                told.append(each)
                said.append(voices.within(lines)[voice])
    ends = {"start": _rounded(told[0]["start"]), "end": _rounded(told[-1]["end"])}
    return {**voices.told[voice], **mean(told, said), **ends}


def mean(feelings: Sequence[Mapping[str, Any]], weights: Sequence[int]) -> dict[str, Any]:
    """The feeling of all, weighted by how much was said. Of one it is that; where some are positive and some negative
    it is mixed."""
    labels = {feeling["label"] for feeling in feelings}
    total = sum(weights) or 1
    score = sum(feeling["score"] * weight for feeling, weight in zip(feelings, weights, strict=True)) / total
    if len(labels) == 1:
        [label] = labels
    elif "mixed" in labels or labels >= {"positive", "negative"}:
        label = "mixed"
    else:
        label = "neutral" if abs(score) < _NEUTRAL else "positive" if score > 0 else "negative"
    return {"label": label, "score": _rounded(score)}


def _rounded(score: float) -> float:
    return round(float(score), 2) + 0.0  # no -0.0

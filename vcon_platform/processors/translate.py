"""The processor ``translate``: what was said in another language, turn by turn, as an analysis.

Belongs here: the task, the answer as turns again. Not here: the shape of the analysis and the turn table in another
language (``vcon/translations.py``), the question (``model_question.py``).

Each turn is translated by itself and keeps its place, party and times: an answer that leaves one out, or adds one, is
refused. The transcript stays; what was really said is never replaced.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints

from vcon_platform.processors.base import Effects, NotApplicable, ProcessorIO
from vcon_platform.processors.conversation_answer import answered, dialogs_of, lines_of, question_of, together
from vcon_platform.processors.conversation_lines import Line
from vcon_platform.processors.languages import TAG, Language, LanguageOrNone, same_language
from vcon_platform.processors.model_options import ModelOptions, check_wanted
from vcon_platform.processors.model_question import Answer, ModelProcessor, ask_each_part
from vcon_platform.processors.model_steps import analysis_of
from vcon_platform.vcon.translations import TRANSLATION, translation_body
from vcon_platform.vcon.turns import turns

_SHARE = 0.6
"""Of ``max_tokens``: estimated tokens of conversation in a part. The estimate is high for what is said (1.4 times) and
counts what stands before it; a translation may have twice the tokens of its original."""
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spoken": {"type": "string", "description": "BCP 47 tag of the language that most of it was said in"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"number": {"type": "integer"}, "text": {"type": "string"}},
                "required": ["number", "text"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["spoken", "lines"],
    "additionalProperties": False,
}
_TASK = (
    "Translate each message {spoken}into the language of the BCP 47 tag {wanted}. Give for each message its number, "
    "which stands after #, and the translation of what was said, without number, time and name. Each message is "
    "translated by itself: give all of them, in the same order; merge, split, leave out, answer and explain none. "
    "Names, numbers, codes and addresses stay as they are, and so does a message that is in that language already."
)

_Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class TranslateOptions(ModelOptions):
    """What ``translate`` can be told."""

    to_language: Language = Field(
        default="en", title="Into", description="BCP 47 tag of the language to translate into: en, de-CH, zh-Hant."
    )
    from_language: LanguageOrNone = Field(
        default="", title="From", description="BCP 47 tag of what is spoken; empty: the model finds out."
    )
    glossary: dict[_Term, _Term] = Field(
        default_factory=dict,
        max_length=500,
        title="Glossary",
        description="Terms and how they are translated: {Mahnung: payment reminder}. A term that is to stay as it is "
        "stands for itself.",
    )
    max_tokens: int = Field(
        default=2000,
        ge=200,
        le=1_000_000,
        title="Most tokens",
        description="Tokens that one answer may have. A conversation is translated in parts of which the translation "
        "fits into this; larger parts are fewer questions.",
    )


class Translate(ModelProcessor[TranslateOptions]):
    """What was said, in another language."""

    name = "translate"
    version = "1.0.0"
    title = "Translate"
    description = (
        "Has a language model translate what was said and written, turn by turn, and adds the translation as an "
        "analysis in which every turn keeps its place, party and times."
    )
    effects = Effects(costs=True, network=True, changes=True, purpose="translation")
    options = TranslateOptions

    def process(self, io: ProcessorIO, options: TranslateOptions) -> ProcessorIO:
        """Raises NotApplicable where nothing was said, it is in that language already, or was translated before; and
        what the question raises."""
        check_wanted(io.vcon, options)
        if options.from_language and same_language(options.from_language, options.to_language):
            raise NotApplicable(f"what is said is in {options.to_language} already")
        table = turns(io.vcon, words=False)
        lines = lines_of(io.vcon, options, table)
        question = question_of(options, lines, options.to_language, options.from_language, options.glossary)
        if answered(io.vcon, TRANSLATION, question) is not None:
            raise NotApplicable("it was translated before, and the translation is there")
        parts = ask_each_part(
            io,
            self,
            options,
            task=_task(options),
            said=lines,
            schema=_SCHEMA,
            check=_fault,
            most=int(options.max_tokens * _SHARE),
        )
        answer = together([answer for _, answer in parts], None)
        body = translation_body(options.to_language, options.from_language or _spoken(parts), table, _texts(parts))
        members = {"language": options.to_language, "question": question}
        dialogs = dialogs_of(lines, table)
        io.vcon.append("analysis", analysis_of(TRANSLATION, dialogs, self, options, answer, body, members))
        return io


def _task(options: TranslateOptions) -> str:
    spoken = f"from the language of the tag {options.from_language} " if options.from_language else ""
    task = _TASK.format(spoken=spoken, wanted=options.to_language)
    if options.glossary:
        task += f" Translate these terms so: {orjson.dumps(options.glossary).decode()}."
    return task


def _fault(value: Any, lines: Sequence[Line]) -> str | None:
    wanted = [line.number for line in lines]
    if [line["number"] for line in value["lines"]] != wanted:
        numbers = ", ".join(map(str, wanted))
        return f"/lines must hold each message once and in order, which are the numbers {numbers}"
    if not any(line["text"].strip() for line in value["lines"]):
        return "/lines holds no text"
    return None


def _texts(parts: Sequence[tuple[list[Line], Answer]]) -> dict[int, str]:
    """The translations by the turns' numbers. A turn that is longer than a part comes in pieces; one that a model finds
    nothing to translate in ("Uh.") stays as it was said."""
    found: dict[int, str] = {}
    for lines, answer in parts:
        for line, told in zip(lines, answer.value["lines"], strict=True):
            if line.number is not None:
                text = " ".join(told["text"].split()) or line.text
                found[line.number] = f"{found[line.number]} {text}" if line.number in found else text
    return found


def _spoken(parts: Sequence[tuple[list[Line], Answer]]) -> str:
    """The language that most of it was said in, as far as the model named one."""
    told: Counter[str] = Counter()
    for lines, answer in parts:
        if re.fullmatch(TAG, answer.value["spoken"]):
            told[answer.value["spoken"]] += sum(len(line.text) for line in lines)
    return told.most_common(1)[0][0] if told else ""

"""What the processors have in common that ask a language model what a whole conversation was like.

Belongs here: options that all of them have, the lines that a model is shown, finding an answer that is there already,
turns that an answer points at, one answer with such evidence made from several. Not here: the question
(``model_question.py``), each one's task (``translate.py``, ``summarise.py``, ``sentiment.py``, ``scorecard.py``).

A model points at a turn by the number of its line. A number that no line has, or that the model was not shown, is a
fault that it must mend; what is kept are the turn's own dialog, place, party and time, from the turn table and not from
the model. So evidence can be wrong, but it cannot be made up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.processors.base import NotApplicable, Processor, ProcessorIO
from vcon_platform.processors.conversation_lines import Line, one_line, said
from vcon_platform.processors.dialog_choice import chosen, is_all
from vcon_platform.processors.languages import LanguageOrNone
from vcon_platform.processors.model_messages import COMBINE
from vcon_platform.processors.model_options import ModelOptions
from vcon_platform.processors.model_question import Answer, ask, ask_each_part
from vcon_platform.processors.model_steps import tag_fault
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Sealed, Vcon
from vcon_platform.vcon.tags import TagError, add_tag, set_tag
from vcon_platform.vcon.translations import translated_turns
from vcon_platform.vcon.turns import Turn, turns

ANSWERS = (
    "answers to one and the same task, each about one part of a conversation, in the order of the parts; the numbers "
    "after # in the task are those in their members named lines"
)


def _tag_name(name: str) -> str:
    if name and (fault := tag_fault(name)):
        raise ValueError(f"the name of a tag {fault}")
    return name.strip()


TagName = Annotated[str, AfterValidator(_tag_name)]
"""The type of an option that names a tag; empty: none."""


class ConversationOptions(ModelOptions):
    """Options of those that may read a translation."""

    translation: LanguageOrNone = Field(
        default="",
        title="Translation",
        description="Read the translation into this language (en) that translate has made; what was not translated is "
        "read as it was said. Empty: what was said.",
    )


def table_of(vcon: Vcon, options: ConversationOptions) -> list[Turn]:
    """The turn table that is read."""
    return translated_turns(vcon, options.translation) if options.translation else turns(vcon, words=False)


def lines_of(vcon: Vcon, options: ModelOptions, table: Sequence[Turn]) -> list[Line]:
    """What was said in the dialogs that ``input_dialogs`` names, each line with its number. Raises NotApplicable where
    nothing is known."""
    every = is_all(options.input_dialogs)
    dialogs = None if every else chosen(options.input_dialogs, len(vcon.dialog))
    lines = said(vcon, dialogs, numbered=True, table=table)
    if not lines:
        raise NotApplicable("nothing was said that is known; put transcribe or deepgram before this processor")
    return lines


def dialogs_of(lines: Iterable[Line], table: Sequence[Turn]) -> list[int]:
    """The dialogs that the lines are of, in their order in the document."""
    found = {table[line.number].dialog for line in lines if line.number is not None}
    return sorted(dialog for dialog in found if dialog is not None)


def reference(turn: Turn) -> dict[str, Any]:
    """What points at a turn: dialog, place in it, who and when, as far as that is known."""
    known = {"dialog": turn.dialog, "turn": turn.turn, "party": turn.party, "start": turn.start, "end": turn.end}
    return {name: value for name, value in known.items() if value is not None}


def references(table: Sequence[Turn], numbers: Iterable[int]) -> list[dict[str, Any]]:
    """The turns with these numbers, each once, in time order."""
    return [reference(table[number]) for number in sorted(set(numbers))]


# --- asked before ----------------------------------------------------------------------------------------------


def question_of(options: ModelOptions, lines: Sequence[Line], *depends: Any) -> str:
    """What tells this question from others: everything that the answer depends on."""
    asked = [options.model, options.temperature, options.additional, *depends, [str(line) for line in lines]]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def answered(vcon: Vcon, kind: str, question: str) -> Any:
    """The body of the analysis that answers this question; None where there is none."""
    for entry in array(vcon.data, "analysis"):
        if entry.get("type") == kind and entry.get("question") == question and entry.get("body") is not None:
            return entry["body"]
    return None


# --- answers ---------------------------------------------------------------------------------------------------


def together(answers: Sequence[Answer], value: Any) -> Answer:
    """One answer made of those about the parts: ``value``, with what all of them used."""
    names = dict.fromkeys(name for answer in answers for name in answer.usage)
    return replace(
        answers[-1],
        value=value,
        usage={name: sum(answer.usage.get(name, 0) for answer in answers) for name in names},
        parts=sum(answer.parts for answer in answers),
        repaired=any(answer.repaired for answer in answers),
    )


def ask_citing(
    io: ProcessorIO,
    processor: Processor[Any],
    options: ModelOptions,
    *,
    task: str,
    said: Sequence[Line],
    schema: Mapping[str, Any],
    cited: Callable[[Any], Collection[int]],
    check: Callable[[Any, bool], str | None] | None = None,
    combine: str = "",
) -> Answer:
    """One answer about the whole conversation, which points at lines by their numbers (``cited``). A part's answer may
    point at lines of that part only; the whole one, where there are parts, at lines that those pointed at. ``check`` is
    told whether the answer is about the whole. Raises as ``ask``."""

    def fault(value: Any, known: Collection[int | None], *, whole: bool) -> str | None:
        if set(cited(value)).difference(known):
            return (
                "it names numbers in lines that no message has; give only numbers that stand after # before a message"
            )
        return check(value, whole) if check is not None else None

    parts = ask_each_part(
        io,
        processor,
        options,
        task=task,
        said=said,
        schema=schema,
        check=lambda value, lines: fault(value, [line.number for line in lines], whole=_covers(lines, said)),
    )
    if len(parts) == 1:
        return parts[0][1]
    answers = [answer for _, answer in parts]
    known = {number for answer in answers for number in cited(answer.value)}
    whole = ask(
        io,
        processor,
        options,
        task=f"{COMBINE} {combine}".strip() + f"\n\n{task}",
        said=[
            Line(None, f"Answer about part {number}: ", one_line(orjson.dumps(answer.value).decode()))
            for number, answer in enumerate(answers, 1)
        ],
        schema=schema,
        check=lambda value: fault(value, known, whole=True),
        material=ANSWERS,
    )
    return replace(together([*answers, whole], whole.value), parts=len(answers))


def _covers(lines: Sequence[Line], said: Sequence[Line]) -> bool:
    return len(lines) == len(said) and lines[0] == said[0] and lines[-1] == said[-1]


# --- tags ------------------------------------------------------------------------------------------------------


def pin(vcon: Vcon, name: str, value: str) -> None:
    """Let the conversation have this tag with this value and no other; beside the old one where that cannot be taken
    off, because it was signed or stands among other things."""
    try:
        set_tag(vcon, name, value)
    except (TagError, Sealed):
        add_tag(vcon, name, value)

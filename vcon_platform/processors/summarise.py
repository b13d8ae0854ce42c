"""The processor ``summarise``: what a conversation was about, as a text or as notes with what is to be done.

Belongs here: the task, what of the answer is kept. Not here: evidence (``conversation_answer.py``), the question
(``model_question.py``), a prompt of one's own (``openai_chat_completion.py``, ``analyze.py``).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from vcon_platform.processors.base import NotApplicable, ProcessorIO
from vcon_platform.processors.conversation_answer import (
    ConversationOptions,
    answered,
    ask_citing,
    dialogs_of,
    lines_of,
    question_of,
    references,
    table_of,
)
from vcon_platform.processors.languages import LanguageOrNone
from vcon_platform.processors.model_options import check_wanted
from vcon_platform.processors.model_question import ModelProcessor, ask
from vcon_platform.processors.model_steps import analysis_of

_LENGTHS = {"short": "one or two sentences", "medium": "up to six sentences", "long": "up to three paragraphs"}
_TEXT = (
    "Summarise the conversation in {length}: what it was about, what was found out or agreed, and how it ended. Write "
    "of what was said only; add, judge and guess nothing. Name people by their part in it (the customer, the agent) "
    "where that is clear."
)
_NOTES = (
    _TEXT + " Then give: reason, why they spoke, in one sentence; outcome, how it ended, in one sentence; resolved, "
    "whether what they spoke for was settled, null where that does not show; topics, up to ten, of a few words each; "
    "action_items, what somebody promised or was asked to do after the conversation, each with who, what, when (empty "
    "where no time was named) and lines, the numbers after # of the messages that say so. Where nothing was promised "
    "there are no action items."
)
_STRING = {"type": "string"}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": _STRING,
        "reason": _STRING,
        "outcome": _STRING,
        "resolved": {"type": ["boolean", "null"]},
        "topics": {"type": "array", "items": _STRING},
        "action_items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "who": _STRING,
                    "what": _STRING,
                    "when": _STRING,
                    "lines": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["who", "what", "when", "lines"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["summary", "reason", "outcome", "resolved", "topics", "action_items"],
    "additionalProperties": False,
}
_COMBINE = (
    "What a later part settles is settled. Keep every action item that is still to be done, each once, with its lines."
)


class SummariseOptions(ConversationOptions):
    """What ``summarise`` can be told."""

    form: Literal["text", "notes"] = Field(
        default="text",
        title="Form",
        description="text: the summary alone; notes: a JSON object with summary, reason, outcome, resolved, topics and "
        "action_items, each with the turns that say so.",
    )
    length: Literal["short", "medium", "long"] = Field(
        default="medium",
        title="Length",
        description="Of the summary: short one or two sentences, medium up to six, long up to three paragraphs.",
    )
    language: LanguageOrNone = Field(
        default="",
        title="Language",
        description="BCP 47 tag of the language to write in; empty: that of the conversation.",
    )
    focus: str = Field(
        default="",
        max_length=10_000,
        title="Focus",
        description="More on what matters: 'Say which product it was about. Leave small talk out.'",
    )
    analysis_type: str = Field(
        default="summary", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class Summarise(ModelProcessor[SummariseOptions]):
    """What a conversation was about."""

    name = "summarise"
    version = "1.0.0"
    title = "Summarise"
    description = (
        "Has a language model summarise the conversation, as a text, or as notes with outcome, topics and action items "
        "that name the turns they come from."
    )
    options = SummariseOptions

    def process(self, io: ProcessorIO, options: SummariseOptions) -> ProcessorIO:
        """Raises NotApplicable where nothing was said, or it was summarised before; and what the question raises."""
        check_wanted(io.vcon, options)
        table = table_of(io.vcon, options)
        lines = lines_of(io.vcon, options, table)
        task = _task(options)
        question = question_of(options, lines, options.form, task)
        if answered(io.vcon, options.analysis_type, question) is not None:
            raise NotApplicable("it was summarised before, and the summary is there")
        if options.form == "text":
            answer = ask(io, self, options, task=task, said=lines)
            body: Any = answer.text.strip()
        else:
            answer = ask_citing(
                io,
                self,
                options,
                task=task,
                said=lines,
                schema=_SCHEMA,
                cited=_cited,
                check=_fault,
                combine=_COMBINE,
            )
            items = [
                {**{name: value for name, value in item.items() if name != "lines"}, "turns": found}
                for item in answer.value["action_items"]
                if (found := references(table, item["lines"]))
            ]
            body = {**answer.value, "action_items": items}
        members = {"question": question, **({"language": options.language} if options.language else {})}
        dialogs = dialogs_of(lines, table)
        kind = options.analysis_type
        io.vcon.append("analysis", analysis_of(kind, dialogs, self, options, answer, body, members))
        return io


def _task(options: SummariseOptions) -> str:
    task = (_TEXT if options.form == "text" else _NOTES).format(length=_LENGTHS[options.length])
    written = (
        f"the language of the BCP 47 tag {options.language}" if options.language else "the conversation's language"
    )
    return " ".join(part for part in (task, options.focus.strip(), f"Write in {written}.") if part)


def _cited(value: Any) -> set[int]:
    return {number for item in value["action_items"] for number in item["lines"]}


def _fault(value: Any, _whole: bool) -> str | None:
    if not value["summary"].strip():
        return "/summary is empty"
    if not all(item["lines"] for item in value["action_items"]):
        return "each of /action_items must name the lines that say so; leave out what no line says"
    return None

"""The processor ``analyze_vcon``: asks a model about the whole document, as JSON, not only about what was said; the
conserver's link of that name.

Belongs here: what of a document a model is shown. Not here: the question (``model_question.py``).

A document holds names, numbers and addresses, and all of them go to the model: where that is not wanted, put
``redact_text`` before, or use ``analyze``. What no model can read (recordings, files in base64url) never goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from pydantic import Field

from vcon_platform.processors.base import NotApplicable, ProcessorIO
from vcon_platform.processors.conversation_lines import Line, one_line
from vcon_platform.processors.model_answer import AnswerSchema
from vcon_platform.processors.model_options import ModelOptions
from vcon_platform.processors.model_question import ModelProcessor, ask, check_wanted
from vcon_platform.processors.model_steps import analysis_of
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import ARRAYS, Vcon

_MATERIAL = (
    "the parts of a vCon, the JSON document of a conversation: one part per message, each beginning with its place in "
    "the document"
)
_IN_JSON = {"type": "object"}


class AnalyzeVconOptions(ModelOptions):
    """What ``analyze_vcon`` can be told."""

    prompt: str = Field(
        default="Analyze this vCon and give a JSON object with the members summary, parties, topics and outcome.",
        min_length=1,
        max_length=100_000,
        title="Prompt",
        description="What the model is to do. Its answer must be a JSON object.",
    )
    system_prompt: str = Field(
        default="You are a helpful assistant that analyzes conversations and answers in JSON.",
        max_length=100_000,
        title="System prompt",
        description="What the model is to be, told before everything else.",
    )
    json_schema: AnswerSchema = Field(
        default=None,
        title="JSON Schema",
        description="What the answer must meet; unset: any JSON object.",
    )
    remove_body_properties: bool = Field(
        default=True,
        title="Leave bodies out",
        description="True: the dialogs' bodies are not shown, so that what was said stands in the analyses alone.",
    )
    analysis_type: str = Field(
        default="json_analysis", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class AnalyzeVcon(ModelProcessor[AnalyzeVconOptions]):
    """A language model's answer about the whole document."""

    name = "analyze_vcon"
    version = "1.0.0"
    title = "Analyze the document"
    description = (
        "Asks a language model about the whole vCon (parties, dialogs, analyses, attachments) and adds its answer, a "
        "JSON object, as one analysis."
    )
    options = AnalyzeVconOptions

    def process(self, io: ProcessorIO, options: AnalyzeVconOptions) -> ProcessorIO:
        """Raises NotApplicable where the document says nothing, or this was asked before; and what the question
        raises."""
        check_wanted(io.vcon, options)
        mine = [entry for entry in array(io.vcon.data, "analysis") if _is_mine(entry, options)]
        if mine:
            raise NotApplicable("this was asked before, and the answer is there")
        lines = list(_shown(io.vcon, bodies=not options.remove_body_properties))
        if not lines:
            raise NotApplicable("the vCon is empty")
        answer = ask(
            io,
            self,
            options,
            task=options.prompt,
            said=lines,
            system=options.system_prompt,
            schema=options.json_schema or _IN_JSON,
            material=_MATERIAL,
        )
        told = {"prompt": options.prompt, "system_prompt": options.system_prompt}
        dialogs = range(len(io.vcon.dialog))
        analysis = analysis_of(options.analysis_type, dialogs, self, options, answer, answer.value, told)
        io.vcon.append("analysis", analysis)
        return io


def _is_mine(entry: dict[str, Any], options: AnalyzeVconOptions) -> bool:
    schema = entry.get("schema", entry.get("vendor_schema"))
    told = schema if isinstance(schema, dict) else entry
    return (
        entry.get("type") == options.analysis_type
        and told.get("prompt") == options.prompt
        and told.get("model") == options.model
        and told.get("system_prompt", options.system_prompt) == options.system_prompt
    )


def _shown(vcon: Vcon, *, bodies: bool) -> Iterator[Line]:
    for member in ("subject", "created_at"):
        if isinstance(vcon.data.get(member), str):
            yield Line(None, f"/{member}: ", one_line(vcon.data[member]))
    for name in ARRAYS:
        for index, entry in enumerate(array(vcon.data, name)):
            dropped = {"body"} if (name == "dialog" and not bodies) or _is_file(entry) else set()
            kept = {member: value for member, value in entry.items() if member not in dropped}
            if kept:
                yield Line(None, f"/{name}/{index}: ", one_line(_dumped(kept)))


def _is_file(entry: dict[str, Any]) -> bool:
    """A body that is bytes: of no use to a model, and large."""
    return entry.get("encoding") in ("base64url", "base64")


def _dumped(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):  # numbers of more digits than JSON readers take
        return "{}"

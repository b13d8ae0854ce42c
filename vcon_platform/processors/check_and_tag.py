"""The processor ``check_and_tag``: asks a model one question about each recording and tags the conversation if it
applies; the conserver's link of that name.

The model says yes or no; which tag that is, the definition says. So whatever a conversation talks it into, no other tag
can come of it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.model_question import ModelProcessor
from vcon_platform.processors.model_steps import Step, StepOptions, ask_about_each, tag_fault
from vcon_platform.vcon.tags import add_tag

_TASK = (
    'Decide about the conversation whether this applies: {}\nAnswer with a JSON object: {{"applies": true or false}}.'
)
_SCHEMA = {
    "type": "object",
    "properties": {"applies": {"type": "boolean"}},
    "required": ["applies"],
    "additionalProperties": False,
}


def _key(value: str) -> str:
    if fault := tag_fault(value):
        raise ValueError(fault)
    return value.strip()


class CheckAndTagOptions(StepOptions):
    """What ``check_and_tag`` can be told."""

    tag_name: Annotated[str, AfterValidator(_key)] = Field(title="Tag", description="The tag's name.", max_length=100)
    tag_value: str = Field(
        title="Value", description="The tag's value.", min_length=1, max_length=1000, pattern=r"^[^\r\n]*$"
    )
    evaluation_question: str = Field(
        min_length=1,
        max_length=100_000,
        title="Question",
        description="What is asked: a question that is answered by yes or no. The tag is set where it applies.",
    )
    analysis_type: str = Field(
        default="tag_evaluation", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class CheckAndTag(ModelProcessor[CheckAndTagOptions]):
    """A language model's yes or no, as a tag."""

    name = "check_and_tag"
    version = "1.0.0"
    title = "Check and tag"
    description = (
        "Asks a language model a question about each recording, and about all messages together; adds its yes or no as "
        "an analysis, and the tag where it is a yes."
    )
    options = CheckAndTagOptions

    def process(self, io: ProcessorIO, options: CheckAndTagOptions) -> ProcessorIO:
        """Raises as ``analyze`` does."""
        tag = f"{options.tag_name}:{options.tag_value}"
        step = Step(
            options.analysis_type,
            _TASK.format(options.evaluation_question),
            {"evaluation_question": options.evaluation_question, "tag": tag},
            schema=_SCHEMA,
            keep=lambda answer: ({"link_name": self.name, "tag": tag, "applies": answer.value["applies"]}, {}),
        )
        for analysis in ask_about_each(io, self, options, step):
            if analysis["body"]["applies"]:
                add_tag(io.vcon, options.tag_name, options.tag_value)
        return io

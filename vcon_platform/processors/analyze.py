"""The processor ``analyze``: a prompt about each recording, the answer as an analysis; the conserver's link of that
name.

Belongs here: its options and its analysis. Not here: what is asked about and whether it was before
(``model_steps.py``), the question (``model_question.py``).
"""

from __future__ import annotations

from pydantic import Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.model_answer import AnswerSchema
from vcon_platform.processors.model_question import ModelProcessor
from vcon_platform.processors.model_steps import Step, StepOptions, ask_about_each


class AnalyzeOptions(StepOptions):
    """What ``analyze`` can be told."""

    prompt: str = Field(
        default="Summarize the conversation.",
        min_length=1,
        max_length=100_000,
        title="Prompt",
        description="What the model is to do.",
    )
    system_prompt: str = Field(
        default="You are a helpful assistant.",
        max_length=100_000,
        title="System prompt",
        description="What the model is to be, told before everything else.",
    )
    json_schema: AnswerSchema = Field(
        default=None,
        title="JSON Schema",
        description="The answer must be JSON that meets this schema, and the body is that value; unset: a text.",
    )
    analysis_type: str = Field(
        default="summary", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class Analyze(ModelProcessor[AnalyzeOptions]):
    """A language model's answer about each recording."""

    name = "analyze"
    version = "1.0.0"
    title = "Analyze each recording"
    description = (
        "Asks a language model about each recording, and about all messages together, and adds each answer as an "
        "analysis. What was asked before is not asked again."
    )
    options = AnalyzeOptions

    def process(self, io: ProcessorIO, options: AnalyzeOptions) -> ProcessorIO:
        """Raises NotApplicable where there is nothing to ask about, or all was asked before; and what the question
        raises. Nothing is written unless every question was answered."""
        step = Step(
            options.analysis_type,
            options.prompt,
            {"prompt": options.prompt},
            system=options.system_prompt,
            schema=options.json_schema,
        )
        ask_about_each(io, self, options, step)
        return io

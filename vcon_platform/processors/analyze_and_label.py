"""The processor ``analyze_and_label``: has a model choose labels for each recording and pins them on as tags; the
conserver's link of that name.

Belongs here: what a label may be. Not here: tags (``vcon/tags.py``), what is asked about (``model_steps.py``).

Labels come from a model that has read what strangers said. So with ``labels`` only those count; without, a label is
still a short word on one line, and there are at most forty of them.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.model_question import ModelProcessor
from vcon_platform.processors.model_steps import Step, StepOptions, ask_about_each, tag_fault
from vcon_platform.vcon.tags import add_tag

MOST_LABELS = 40


def _label(value: str) -> str:
    if fault := tag_fault(value):
        raise ValueError(f"a label {fault}")
    return value.strip()


class AnalyzeAndLabelOptions(StepOptions):
    """What ``analyze_and_label`` can be told."""

    prompt: str = Field(
        default="Analyze this conversation and give the labels that describe its topics, issues and outcome. Answer "
        'with a JSON object: {"labels": ["label one", "label two"]}.',
        min_length=1,
        max_length=100_000,
        title="Prompt",
        description="What the model is to do. Its answer must be a JSON object with the member labels.",
    )
    labels: tuple[Annotated[str, AfterValidator(_label)], ...] = Field(
        default=(),
        max_length=200,
        title="Labels",
        description="The only labels that there are; empty: any short words.",
    )
    analysis_type: str = Field(
        default="labeled_analysis", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )
    temperature: float = Field(
        default=0.2, ge=0, le=2, title="Temperature", description="From 0 (always the likeliest) to 2."
    )


class AnalyzeAndLabel(ModelProcessor[AnalyzeAndLabelOptions]):
    """A language model's labels."""

    name = "analyze_and_label"
    version = "1.0.0"
    title = "Label with a language model"
    description = (
        "Has a language model choose labels for each recording, and for all messages together; adds its answer as an "
        "analysis and each label as a tag, label:label."
    )
    options = AnalyzeAndLabelOptions

    def process(self, io: ProcessorIO, options: AnalyzeAndLabelOptions) -> ProcessorIO:
        """Raises as ``analyze`` does."""
        step = Step(
            options.analysis_type,
            options.prompt,
            {"prompt": options.prompt},
            schema=_schema(options.labels),
            check=_fault,
            combine="Keep every label that holds for the whole conversation, each once.",
        )
        for analysis in ask_about_each(io, self, options, step):
            for label in analysis["body"]["labels"]:
                add_tag(io.vcon, label, label)
        return io


def _schema(labels: tuple[str, ...]) -> dict[str, Any]:
    """Open for more members: a prompt may ask for them, and they are kept."""
    item: dict[str, Any] = {"type": "string", "enum": list(labels)} if labels else {"type": "string"}
    return {
        "type": "object",
        "properties": {"labels": {"type": "array", "items": item}},
        "required": ["labels"],
    }


def _fault(value: Any) -> str | None:
    labels: list[str] = value["labels"]
    if len(labels) > MOST_LABELS:
        return f"there may be {MOST_LABELS} labels at most"
    return next((f"a label {fault}" for fault in map(tag_fault, labels) if fault), None)

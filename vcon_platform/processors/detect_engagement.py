"""The processor ``detect_engagement``: whether people really talked with each other, as an analysis and a tag; the
conserver's link of that name.

A voice mail, a call that nobody answered and a machine's greeting have a transcript too; most of what follows in a
pipeline is wasted on them.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.model_question import Answer, ModelProcessor
from vcon_platform.processors.model_steps import Step, StepOptions, ask_about_each
from vcon_platform.vcon.document import Sealed, Vcon
from vcon_platform.vcon.tags import TagError, add_tag, set_tag, tags

TAG = "engagement"
_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_FIRST = re.compile(r"[\s\"'*`{(]*(?:is_engaged\"?\s*:\s*)?(true|false|yes|no)\b", re.IGNORECASE)


class DetectEngagementOptions(StepOptions):
    """What ``detect_engagement`` can be told."""

    prompt: str = Field(
        default="Did both the customer and the agent take part in this conversation, each with more than a greeting or "
        "a recorded message? Answer with the one word 'true' or 'false'.",
        min_length=1,
        max_length=100_000,
        title="Prompt",
        description="What is asked; the model must answer with true or false, or yes or no.",
    )
    analysis_type: str = Field(
        default="engagement_analysis", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )
    temperature: float = Field(
        default=0.2, ge=0, le=2, title="Temperature", description="From 0 (always the likeliest) to 2."
    )


class DetectEngagement(ModelProcessor[DetectEngagementOptions]):
    """Whether people talked with each other."""

    name = "detect_engagement"
    version = "1.0.0"
    title = "Detect engagement"
    description = (
        "Asks a language model whether both sides took part in each recording, and in all messages together; adds true "
        "or false as an analysis, and the tag engagement."
    )
    options = DetectEngagementOptions

    def process(self, io: ProcessorIO, options: DetectEngagementOptions) -> ProcessorIO:
        """Raises as ``analyze`` does. The tag is true where one of the dialogs is a yes: it is the conversation's."""
        step = Step(options.analysis_type, options.prompt, {"prompt": options.prompt}, check=_fault, keep=_kept)
        made = ask_about_each(io, self, options, step)
        _tag(io.vcon, any(analysis["is_engaged"] for analysis in made))
        return io


def _kept(answer: Answer) -> tuple[str, dict[str, Any]]:
    engaged = _read(answer.text)
    return str(engaged).lower(), {"is_engaged": engaged}


def _tag(vcon: Vcon, engaged: bool) -> None:
    if not engaged:
        if (TAG, "true") not in tags(vcon):
            add_tag(vcon, TAG, "false")
        return
    try:
        set_tag(vcon, TAG, "true")
    except (TagError, Sealed):  # a "false" that cannot be taken off, because it was signed or stands among other things
        add_tag(vcon, TAG, "true")


def _read(text: str) -> bool | None:
    """The yes or no that an answer begins with."""
    found = _FIRST.match(text)
    return _WORDS[found[1].lower()] if found else None


def _fault(text: str) -> str | None:
    return None if _read(text) is not None else "it must begin with the word true or false"

"""The processor ``recall_finder``: lets a conversation go on only if it speaks of a recall.

Belongs here: its options and its verdict. Not here: what counts as a match (``phrases.py``), what was said
(``vcon/turns.py``); a filter for any other words, which can do more (``keyword_filter.py``).

It looks for words, not for meanings: "I recall that we spoke" counts as much as "the product recall". For the list
of calls that somebody will look through, one too many costs a minute and one too few may cost a life.
"""

from __future__ import annotations

from pydantic import Field

from vcon_platform.processors.base import Effects, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.phrases import Phrase, count_matches, listed
from vcon_platform.vcon.turns import transcript_text


class RecallFinderOptions(ProcessorOptions):
    """What ``recall_finder`` can be told."""

    words: tuple[Phrase, ...] = Field(
        default=("recall", "recalls", "recalled", "recalling"),
        min_length=1,
        max_length=500,
        title="Words",
        description="Words or phrases, any of which counts. Matched whole, whatever their case; any white space "
        "stands for a blank, so a phrase may go on in the next turn. Nothing in them is a pattern.",
    )
    min_count: int = Field(
        default=1,
        ge=1,
        title="Least matches",
        description="How many matches a conversation needs to go on.",
    )


class RecallFinder(Processor[RecallFinderOptions]):
    """A filter on what was said."""

    name = "recall_finder"
    version = "1.0.0"
    title = "Find recalls"
    description = (
        "Goes on only with conversations whose transcript or messages hold one of the words. Sets the parameter "
        "recall_finder to {matches: how many}."
    )
    effects = Effects(may_drop=True)
    options = RecallFinderOptions

    def process(self, io: ProcessorIO, options: RecallFinderOptions) -> ProcessorIO:
        """Drops the conversation if it has too few matches, or nothing to search."""
        text = transcript_text(io.vcon)
        matches = count_matches(text, options.words)
        io.parameters[self.name] = {"matches": matches}
        if not text:
            io.drop("no transcript to search")
        elif not matches:
            io.drop(f"the conversation does not mention {listed(options.words)}")
        elif matches < options.min_count:
            io.drop(f"the conversation mentions {listed(options.words)} {matches} of {options.min_count} times")
        return io

"""The processor ``keyword_filter``: lets a conversation go on by what was said, and by whom.

Belongs here: its options, the text that is searched, the verdict. Not here: what counts as a match (``phrases.py``),
what was said (``vcon/turns.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Literal

from pydantic import Field

from vcon_platform.processors.base import Effects, Processor, ProcessorIO
from vcon_platform.processors.dialog_choice import InputDialogs, chosen, is_all
from vcon_platform.processors.filters import FilterOptions, decide
from vcon_platform.processors.languages import LanguageOrNone
from vcon_platform.processors.party_choice import PartyChoice, parties_of
from vcon_platform.processors.phrases import GAP, Phrase, counted, listed, occurs
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.translations import translated_turns
from vcon_platform.vcon.turns import transcript_text, turns


class KeywordFilterOptions(FilterOptions):
    """What ``keyword_filter`` can be told."""

    phrases: tuple[Phrase, ...] = Field(
        min_length=1,
        max_length=500,
        title="Phrases",
        description="Words or phrases. Matched whole, whatever their case; any white space stands for a blank, so a "
        "phrase may go on in the next turn. Nothing in them is a pattern.",
    )
    match: Literal["any", "all"] = Field(
        default="any", title="Match", description="any: one of the phrases is enough; all: each of them must occur."
    )
    min_count: int = Field(
        default=1,
        ge=1,
        title="Least matches",
        description="How many matches, of all phrases together, a conversation needs.",
    )
    keep: Literal["matching", "others"] = Field(
        default="matching",
        title="Keep",
        description="Which conversations go on: those that match, or those that do not.",
    )
    said_by: PartyChoice = Field(
        default=(),
        title="Said by",
        description="Search only what these parties said: their indexes, roles or names, e.g. [agent]. Empty: what "
        "anybody said.",
    )
    input_dialogs: InputDialogs = Field(
        default="",
        title="Dialogs",
        description="Which dialogs are searched: '' all, 'n' one, 'n:m' or 'n:m:i' a slice, or a list of indexes.",
    )
    translation: LanguageOrNone = Field(
        default="",
        title="Translation",
        description="Search the translation into this language (en) that translate has made; what was not translated "
        "is searched as it was said. Empty: what was said.",
    )


class KeywordFilter(Processor[KeywordFilterOptions]):
    """A filter on what was said, by whom."""

    name = "keyword_filter"
    version = "1.0.0"
    title = "Filter by words"
    description = (
        "Goes on only with conversations in whose transcript or messages phrases occur, or only with the others. Sets "
        "the parameters keyword_filter, {matches, phrases}, and keyword_filter_passed."
    )
    effects = Effects(may_drop=True)
    options = KeywordFilterOptions

    def process(self, io: ProcessorIO, options: KeywordFilterOptions) -> ProcessorIO:
        """Never refuses."""
        text = _text(io.vcon, options)
        found = counted(text, options.phrases)
        matches = sum(found.values())
        missing = _missing(text, options.phrases, found) if options.match == "all" else ()
        matched = matches >= options.min_count and not missing
        io.parameters[self.name] = {"matches": matches, "phrases": found}
        if options.keep == "others":
            return decide(
                io, self, options, passes=not matched, reason=f"the conversation mentions {listed(tuple(found))}"
            )
        return decide(io, self, options, passes=matched, reason=_why(text, matches, missing, options))


def _missing(text: str, phrases: tuple[str, ...], found: Collection[str]) -> tuple[str, ...]:
    """Phrases that do not occur. One that was not counted may stand within a longer one that was."""
    return tuple(phrase for phrase in phrases if phrase not in found and not occurs(text, phrase))


def _why(text: str, matches: int, missing: tuple[str, ...], options: KeywordFilterOptions) -> str:
    """Why it does not match. Only the definition's own words, never the conversation's."""
    if not text:
        return "nothing to search: those parties said nothing that is known" if options.said_by else "nothing to search"
    if missing:
        return f"the conversation does not mention {listed(missing)}"
    if not matches:
        return f"the conversation does not mention {listed(options.phrases)}"
    return f"the conversation mentions {listed(options.phrases)} {matches} of {options.min_count} times"


def _text(vcon: Vcon, options: KeywordFilterOptions) -> str:
    """What is searched. No phrase reaches over what is left out."""
    every = is_all(options.input_dialogs)
    if every and not options.said_by and not options.translation:
        return transcript_text(vcon)
    table = translated_turns(vcon, options.translation) if options.translation else turns(vcon, words=False)
    parties = parties_of(vcon, options.said_by) if options.said_by else None
    dialogs = None if every else set(chosen(options.input_dialogs, len(vcon.dialog)))
    kept = [
        number
        for number, turn in enumerate(table)
        if (parties is None or turn.party in parties) and (dialogs is None or turn.dialog in dialogs)
    ]
    if not kept:
        return ""
    joints = ("\n" if after == before + 1 else GAP for before, after in pairwise(kept))
    return table[kept[0]].text + "".join(
        f"{joint}{table[number].text}" for joint, number in zip(joints, kept[1:], strict=True)
    )

"""The processor ``redact_text``: a copy of the conversation without the personal data in what was said and written.

Belongs here: which parts of the document are looked through and asked for. Not here: finding (``personal_data.py``),
how the copy is put together (``redact_text_copy.py``), sound (``redact_audio.py``).

The copy starts out empty and is given what was looked through, so that what nobody thought of stays out. That is also
why analyses and attachments are left out unless they are named: a summary holds the name that the transcript lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from vcon_platform.processors.base import Effects, NotApplicable, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.personal_data_labels import masked
from vcon_platform.processors.recordings import recordings
from vcon_platform.processors.redact_text_copy import (
    VENDOR,
    copy_in_hand,
    hand_on,
    message,
    new_copy,
    opened,
    refuse_originals,
    report,
    said_in,
    texts_in,
    transcript,
    with_texts,
)
from vcon_platform.processors.redact_text_lines import DetectionOptions, Looked, looked_through
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.text import message_text
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, has_transcript

_NEVER = frozenset({"uuid", "tel", "mailto", "sip", "stir", "did", "validation", "url", "content_hash", "filename"})
"""Members that name or lead to somebody whatever is masked in them."""


class RedactTextOptions(DetectionOptions):
    """What ``redact_text`` can be told."""

    redaction_type_label: str = Field(
        default="personal data",
        min_length=1,
        max_length=100,
        title="Type",
        description="What the copy says was taken out of it (redacted.type).",
    )
    mark: str = Field(
        default="[{label}]",
        max_length=40,
        title="Mark",
        description="What stands in the place of a finding; {label} is its kind.",
    )
    party_names: Literal["mark", "drop"] = Field(
        default="mark",
        title="Party names",
        description="Names of parties: mark them, or leave them out.",
    )
    subject: bool = Field(
        default=True, title="Subject", description="True: the subject goes into the copy, masked. False: it does not."
    )
    keep_party: tuple[str, ...] = Field(
        default=("role",),
        title="Party members",
        description="Members of parties that go into the copy, masked like any text. Addresses, ids and urls never do.",
    )
    keep_analyses: tuple[str, ...] = Field(
        default=(),
        title="Analyses",
        description="Types of analyses that go into the copy, every text in them masked (summary, sentiment). The "
        "transcript always does.",
    )
    keep_attachments: tuple[str, ...] = Field(
        default=(),
        title="Attachments",
        description="Purposes of attachments that go into the copy, every text in them masked (tags, lawful_basis). "
        "Only those that are text or JSON.",
    )
    without_transcript: Literal["refuse", "leave_out"] = Field(
        default="refuse",
        title="Without transcript",
        description="A recording that has no transcript: refuse the conversation, or make the copy without what was "
        "said in it.",
    )

    @field_validator("keep_party")
    @classmethod
    def _no_addresses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := sorted(set(names) & (_NEVER | {"name"})):
            raise ValueError(f"{', '.join(wrong)}: names are marked by party_names, addresses and ids are never kept")
        return names

    @field_validator("keep_analyses")
    @classmethod
    def _no_transcripts(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := sorted(set(types) & set(TRANSCRIPT_TYPES)):
            raise ValueError(f"{', '.join(wrong)}: the transcript is always in the copy, redacted; leave it out here")
        return types


class RedactText(Processor[RedactTextOptions]):
    """Personal data out of text."""

    name = "redact_text"
    version = "1.0.0"
    title = "Redact text"
    description = (
        "Adds a copy of the vCon in which personal data is masked: in transcripts, text dialogs, subject and parties. "
        "The copy holds what was looked through and nothing else, points at its original and is stored with it. "
        "Processors after this one work on the copy by input_vcon_index."
    )
    effects = Effects(changes=True)
    options = RedactTextOptions

    def process(self, io: ProcessorIO, options: RedactTextOptions) -> ProcessorIO:
        """Raises PermanentError for a recording without a transcript, a transcript in another language, and documents
        with extensions that are not known; NotApplicable where another processor of this pipeline did this already."""
        vcon = io.vcon
        present = copy_in_hand(io)
        if present is not None and any(entry.get("product") == self.name for entry in present.analysis):
            raise NotApplicable("a redacted copy with the text of this vCon was made in this pipeline already")
        wanted = list(_asked_for(vcon, options))
        refuse_originals(each.value for each in wanted)
        texts = [text for each in wanted for text in texts_in(each.value)]
        looked, found = looked_through(vcon, options, texts)
        _refuse_unheard(vcon, looked, options)

        copy = present or new_copy(io, options.redaction_type_label)
        said = said_in(looked, options.mark)
        written = {index for index, dialog in enumerate(vcon.dialog) if message_text(dialog)}
        for number in written & said.keys():
            text = "\n".join(text for _, text in said[number])
            copy.put("dialog", {**copy.dialog[number], **message(text)}, number)
        _name_parties(copy, vcon, options)
        following = iter([masked(text, spans, options.mark) for text, spans in zip(texts, found, strict=True)])
        for each in wanted:
            _fill(copy, each, with_texts(each.value, lambda: next(following)))
        for index in sorted(said.keys() - written, key=lambda index: (index is None, index)):
            copy.append("analysis", transcript(index, said[index], options.mark))
        heard = (index for index in said if index is not None)
        copy.append("analysis", report(heard, [*(each.spans for each in looked), *found], options.find))
        if present is None:
            hand_on(io, copy)
        return io


def _name_parties(copy: Vcon, vcon: Vcon, options: RedactTextOptions) -> None:
    mark = options.mark.replace("{label}", "PERSON")
    for index, party in enumerate(vcon.parties):
        if options.party_names == "mark" and isinstance(party, dict) and party.get("name"):
            copy.put("parties", {**copy.parties[index], "name": mark}, index)


def _refuse_unheard(vcon: Vcon, looked: list[Looked], options: RedactTextOptions) -> None:
    if options.without_transcript == "leave_out" or any(each.turn.dialog is None for each in looked):
        return
    heard = {each.turn.dialog for each in looked}
    for index, _ in recordings(vcon):
        if index not in heard and not has_transcript(vcon, index):
            raise PermanentError(
                f"the recording of dialog {index} has no transcript to redact; put transcribe before redact_text, or "
                "set without_transcript to leave_out"
            )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Something that goes into the copy once every text of ``value`` is masked. ``array`` and ``index``: its place;
    "": the subject. ``told``: members that stay as they are, because they were asked for by name or are structure."""

    array: Literal["", "parties", "analysis", "attachments"]
    index: int
    value: Any
    told: Mapping[str, Any]


def _asked_for(vcon: Vcon, options: RedactTextOptions) -> Iterator[_Wanted]:
    subject = vcon.data.get("subject")
    if options.subject and isinstance(subject, str):
        yield _Wanted("", 0, subject, {})
    for index, party in enumerate(vcon.parties):
        for name in options.keep_party:
            if isinstance(party, dict) and name in party:
                yield _Wanted("parties", index, party[name], {"member": name})
    for index, entry in enumerate(vcon.analysis):
        yield from _entry("analysis", index, entry, "type", options.keep_analyses)
    for index, entry in enumerate(vcon.attachments):
        yield from _entry("attachments", index, entry, "purpose", options.keep_attachments)


def _entry(
    array: Literal["analysis", "attachments"], index: int, entry: Any, named: str, asked: Collection[str]
) -> Iterator[_Wanted]:
    """An analysis or an attachment, if its kind was asked for and its body is text or JSON."""
    if not isinstance(entry, dict) or not isinstance(entry.get(named), str) or entry[named] not in asked:
        return
    body = opened(entry.get("body"), entry.get("encoding"))
    if body is not None:
        about = {name: entry[name] for name in ("dialog", "party") if _is_index(entry.get(name))}
        yield _Wanted(array, index, body, {named: entry[named], **about})


def _is_index(value: object) -> bool:
    return type(value) is int or (isinstance(value, list) and all(type(item) is int for item in value))


def _fill(copy: Vcon, wanted: _Wanted, clean: Any) -> None:
    """Put what was asked for into its place."""
    if not wanted.array:
        copy.put("subject", clean)
    elif wanted.array == "parties":
        copy.put("parties", {**copy.parties[wanted.index], wanted.told["member"]: clean}, wanted.index)
    else:
        text = isinstance(clean, str)
        how = {"mediatype": "text/plain" if text else "application/json", "encoding": "none" if text else "json"}
        own = {"vendor": VENDOR, "product": "redact_text"} if wanted.array == "analysis" else {}
        copy.put(wanted.array, {**wanted.told, **own, **how, "body": clean}, wanted.index)

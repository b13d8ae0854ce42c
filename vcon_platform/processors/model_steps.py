"""What the conserver's language-model links have in common: one question about each recording, asked once.

Belongs here: which texts of a conversation are asked about, whether that was done before, the analysis. Not here: the
question (``model_question.py``), the links' own tasks (``analyze.py``, ``check_and_tag.py``…).

The links go by dialog, and so do these: each recording by itself. The messages of a chat, each of which is a dialog,
are asked about together. *Asked before* is a matter of the question, not of the analysis' type: two steps of a chain
that write the same type do not hinder each other, and a transcript that was mended is asked about again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from vcon_platform.processors.base import NotApplicable, Processor, ProcessorIO
from vcon_platform.processors.conversation_lines import Line, one_line, said
from vcon_platform.processors.dialog_choice import chosen, is_all
from vcon_platform.processors.model_options import ModelOptions, service_of
from vcon_platform.processors.model_question import Answer, Check, ask, check_wanted
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, turns


class Source(BaseModel):
    """Which analysis is asked about, in place of what was said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    analysis_type: str = Field(
        default="transcript",
        min_length=1,
        max_length=200,
        title="Type",
        description="The analysis' type; of several the last.",
    )
    text_location: str = Field(
        default="",
        max_length=500,
        title="Place",
        description="Where its text stands, as body.paragraphs.transcript; empty: transcripts of any shape are read, "
        "with who said what, and of others the body.",
    )


class StepOptions(ModelOptions):
    """Options of all of them."""

    source: Source = Field(
        default=Source(),
        title="Source",
        description="What is asked about; by default what was said. Another analysis: {analysis_type: summary}.",
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """What one question is about: the lines, and the dialogs they are of."""

    dialogs: tuple[int, ...]
    lines: list[Line]


def subjects(vcon: Vcon, options: StepOptions) -> list[Subject]:
    """What is asked about, in the order of the dialogs. Raises NotApplicable where there is nothing."""
    source = options.source
    if source.analysis_type in TRANSCRIPT_TYPES and not source.text_location:
        found = list(_spoken(vcon, options))
    else:
        found = list(_analysed(vcon, options))
    if not found:
        raise NotApplicable(
            "nothing was said that is known; put transcribe or deepgram before this processor"
            if source == Source()
            else f"source: no analysis of type {source.analysis_type} holds a text there"
        )
    return found


def _spoken(vcon: Vcon, options: StepOptions) -> Iterator[Subject]:
    wanted = chosen(options.input_dialogs, len(vcon.dialog))
    table = turns(vcon, words=False)
    groups: dict[tuple[int, ...], list[Line]] = {}
    messages = tuple(
        sorted({turn.dialog for turn in table if turn.dialog in wanted and turn.dialog is not None} & _texts(vcon))
    )
    for line in said(vcon, None if is_all(options.input_dialogs) else wanted, table=table):
        dialog = table[line.number].dialog if line.number is not None else None
        key = () if dialog is None else messages if dialog in messages else (dialog,)
        groups.setdefault(key, []).append(line)
    return (Subject(dialogs, lines) for dialogs, lines in sorted(groups.items()))


def _texts(vcon: Vcon) -> set[int]:
    return {index for index, dialog in enumerate(vcon.dialog) if dialog.get("type") == "text"}


def _analysed(vcon: Vcon, options: StepOptions) -> Iterator[Subject]:
    """The last analysis of the type for each dialog, or group of dialogs."""
    wanted = set(chosen(options.input_dialogs, len(vcon.dialog)))
    latest: dict[tuple[int, ...], str] = {}
    for entry in array(vcon.data, "analysis"):
        if entry.get("type") != options.source.analysis_type:
            continue
        about = _dialogs(entry)
        if (about and not wanted.intersection(about)) or (not about and not is_all(options.input_dialogs)):
            continue
        if text := _text_at(entry, options.source.text_location or "body"):
            latest[about] = text
    for about, text in sorted(latest.items()):
        yield Subject(about, [Line(None, "", one_line(line)) for line in text.splitlines() if line.strip()])


def _dialogs(entry: Mapping[str, Any]) -> tuple[int, ...]:
    about = entry.get("dialog")
    listed = about if isinstance(about, list) else [about]
    return tuple(index for index in listed if type(index) is int and index >= 0)


def _text_at(entry: Mapping[str, Any], place: str) -> str:
    """The text at a dotted path; what is there and no text is given as JSON."""
    found: Any = {**entry, "body": _body(entry)}
    for part in place.split("."):
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return ""
    if found is None or isinstance(found, str):
        return found or ""
    return orjson.dumps(found).decode()


def _body(entry: Mapping[str, Any]) -> Any:
    body = entry.get("body")
    if not isinstance(body, str):
        return body
    try:
        if entry.get("encoding") in ("base64url", "base64"):
            return decode_base64url(body).decode("utf-8", "replace")
        return orjson.loads(body) if entry.get("encoding") == "json" else body
    except (BodyError, orjson.JSONDecodeError, UnicodeEncodeError):
        return body


# --- one question about each ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked about each subject, and what of the answer is kept. ``kind``: the analysis' type; ``told``: the
    members in which the analysis, as a conserver's, says what was asked; ``keep``: its body and further members."""

    kind: str
    task: str
    told: Mapping[str, str]
    system: str = ""
    schema: Mapping[str, Any] | None = None
    check: Check | None = None
    combine: str = ""
    keep: Callable[[Answer], tuple[Any, dict[str, Any]]] = lambda answer: (answer.value, {})


def ask_about_each(
    io: ProcessorIO, processor: Processor[Any], options: StepOptions, step: Step
) -> list[dict[str, Any]]:
    """Ask about each recording, and about all messages together; append each answer as an analysis and give these.
    Raises NotApplicable where the conversation is passed over, says nothing, or was asked about before; and what the
    questions raise. Nothing is written unless each was answered."""
    check_wanted(io.vcon, options)
    made: list[dict[str, Any]] = []
    for subject in subjects(io.vcon, options):
        question = _question(subject, options, step)
        if _asked_before(io.vcon, subject, step, question):
            continue
        answer = ask(
            io,
            processor,
            options,
            task=step.task,
            said=subject.lines,
            system=step.system,
            schema=step.schema,
            check=step.check,
            combine=step.combine,
        )
        body, members = step.keep(answer)
        members = {**step.told, **members, "question": question}
        made.append(analysis_of(step.kind, subject.dialogs, processor, options, answer, body, members))
    if not made:
        raise NotApplicable("all of it was asked before, and the answers are there")
    for analysis in made:
        io.vcon.append("analysis", analysis)
    return made


def analysis_of(
    kind: str,
    dialogs: Collection[int],
    processor: Processor[Any],
    options: ModelOptions,
    answer: Answer,
    body: Any,
    members: Mapping[str, Any],
) -> dict[str, Any]:
    """One analysis as all of them write it. A body that is a text is one, any other is JSON."""
    text = isinstance(body, str)
    listed = list(dialogs)
    return {
        "type": kind,
        **({"dialog": listed[0] if len(listed) == 1 else listed} if listed else {}),
        "vendor": service_of(options).usage_name,
        "product": processor.name,
        "schema": "text" if text else processor.name,
        "mediatype": "text/plain" if text else "application/json",
        "encoding": "none" if text else "json",
        "body": body,
        "model": options.model,
        **members,
        **answer.members(),
    }


def _question(subject: Subject, options: StepOptions, step: Step) -> str:
    """What tells this question from others: what it is about, and everything that the answer depends on."""
    depends = (step.kind, step.task, step.told, step.system, step.schema, options.model, options.temperature)
    lines = [str(line) for line in subject.lines]
    value = orjson.dumps([*depends, options.additional, lines], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(value).hexdigest()[:32]


def _asked_before(vcon: Vcon, subject: Subject, step: Step, question: str) -> bool:
    """True if the answer stands in the vCon: ours by ``question``; a conserver's, which has none, by ``told``."""
    for entry in array(vcon.data, "analysis"):
        if entry.get("type") != step.kind or _dialogs(entry) != subject.dialogs:
            continue
        if entry.get("question") == question:
            return True
        schema = entry.get("schema", entry.get("vendor_schema"))
        if "question" not in entry and isinstance(schema, dict):
            body = _body(entry)
            known = {**(body if isinstance(body, dict) else {}), **schema}
            if all(known.get(name) == value for name, value in step.told.items()):
                return True
    return False


def tag_fault(key: str) -> str | None:
    """Why this cannot be the key of a tag."""
    if not key.strip() or ":" in key or len(key) > 100 or not key.isprintable():
        return "must be up to 100 characters on one line, and hold no colon"
    return None

"""The processor ``text_pii_redactor``: a redacted copy in the form that the author of the definition writes in jq.

Belongs here: the input that the query is given, what its result must be. Not here: finding (``personal_data.py``),
running a stranger's filter (``jq_child.py``), the copy that needs no query (``redact_text.py``).

It is py_vcon_server's processor with its options. The query is given the whole document with redacted transcripts
added, and what it lets through goes into the copy as it is: a query that says ``.`` redacts nothing. The one that
stands in where none is given lets through structure and redacted transcripts alone. ``redact_text`` cannot be asked for
less than that, which is why it is the one to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator

from vcon_platform.errors import PlatformError
from vcon_platform.jq_child import JqError, fault_in, shared_child
from vcon_platform.processors.base import Effects, NotApplicable, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.dialog_choice import InputDialogs, chosen
from vcon_platform.processors.personal_data_labels import Span
from vcon_platform.processors.redact_text_lines import DetectionOptions, Looked, looked_through
from vcon_platform.vcon.copies import amended_copy, refuse_inline_vcon
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import link_back
from vcon_platform.vcon.migrate import migrate
from vcon_platform.vcon.notes import Notes
from vcon_platform.vcon.policy import Policy

DEFAULT_QUERY = """{
  vcon, uuid, created_at,
  parties: [.parties[]? | {role}],
  dialog: [.dialog[]? | if .type == "text" then {type} else {type, start, duration, parties} end],
  analysis: [.analysis[]? | select(.type == "transcript-redacted")]
}"""

MARKS: Mapping[str, str] = {
    "PERSON": "PERSON",
    "LOCATION": "ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "EMAIL": "EMAIL_ADDRESS",
    "CARD": "CREDIT_CARD",
    "BANK": "BAN",
    "NATIONAL_ID": "SSN",
    "ID": "QUANTITY",
    "BIRTH_DATE": "DATE",
    "SECRET": "PASSWORD",
    "IP": "IPV4",
    "NAME": "PERSON",
    "CUSTOM": "REDACTED",
}
"""What our kinds are called in py_vcon_server's marks."""


class TextPiiRedactorOptions(DetectionOptions):
    """What ``text_pii_redactor`` can be told."""

    input_dialogs: InputDialogs = Field(
        default="", title="Dialogs", description="Dialogs whose text is redacted: '', 'n', 'n:m', 'n:m:i' or a list."
    )
    jq_redaction_query: str = Field(
        default=DEFAULT_QUERY,
        min_length=1,
        max_length=20_000,
        title="jq query",
        description="A jq filter from the vCon, with analyses of type transcript-redacted added, to the copy. All "
        "that it lets through survives. Unset: structure, roles and redacted transcripts.",
    )
    redaction_type_label: str = Field(
        min_length=1, max_length=100, title="Type", description="What was taken out (redacted.type)."
    )
    uuid_domain: str | None = Field(
        default=None,
        title="UUID domain",
        description="Accepted and not needed: the copy gets a uuid that needs no domain.",
    )

    @field_validator("jq_redaction_query")
    @classmethod
    def _compiles(cls, query: str) -> str:
        if fault := fault_in(query):
            raise ValueError(fault)
        return query


class TextPiiRedactor(Processor[TextPiiRedactorOptions]):
    """A redacted copy by a jq query."""

    name = "text_pii_redactor"
    version = "1.0.0"
    title = "Redact by a jq query"
    description = (
        "Adds a copy of the vCon that a jq query makes of it, with redacted transcripts (marks like {{SSN}}) to "
        "choose. The copy points at its original. redact_text needs no query and leaves out more."
    )
    effects = Effects(changes=True)
    options = TextPiiRedactorOptions

    def process(self, io: ProcessorIO, options: TextPiiRedactorOptions) -> ProcessorIO:
        """Raises NotApplicable where nothing is said in the dialogs chosen; PermanentError for a query that fails or
        whose result is no vCon, or holds the original."""
        looked, _ = looked_through(io.vcon, options)
        wanted = set(chosen(options.input_dialogs, len(io.vcon.dialog)))
        said = [each for each in looked if each.turn.dialog is None or each.turn.dialog in wanted]
        if not said:
            raise NotApplicable("nothing is said in it to redact: no transcript and no text")
        uuid = io.new_uuid()
        now = _made(uuid)
        try:
            temporary = amended_copy(io.vcon, now=now, uuid=uuid).data
        except PlatformError as error:
            raise PermanentError(f"vCon {io.vcon.uuid} cannot be redacted: {error}") from None
        temporary |= {"uuid": io.vcon.uuid, "created_at": io.vcon.created_at}
        temporary.pop("amended", None)
        temporary["analysis"] = [*(temporary.get("analysis") or []), *_analyses(said)]
        try:
            [made] = shared_child().first([options.jq_redaction_query], temporary, seconds=io.context.remaining())
        except JqError as error:
            raise PermanentError(f"/jq_redaction_query: {error}; mend the query and re-execute") from None
        copy = _checked(made, io.vcon, uuid, now, options.redaction_type_label)
        link_back(io.vcon, copy)
        io.add(copy)
        return io


def _analyses(said: list[Looked]) -> list[dict[str, Any]]:
    """One analysis per dialog, in the shape that py_vcon_server writes."""
    found: dict[int | None, list[dict[str, Any]]] = {}
    for each in said:
        turn = each.turn
        length = None if turn.start is None or turn.end is None else round(turn.end - turn.start, 3)
        members = {"parties": turn.party, "start": turn.start, "duration": length}
        text = _marked(turn.text, each.spans)
        found.setdefault(turn.dialog, []).append({**{k: v for k, v in members.items() if v is not None}, "text": text})
    return [
        {
            "type": "transcript-redacted",
            **({} if dialog is None else {"dialog": dialog}),
            "vendor": "vcon-platform",
            "product": "text_pii_redactor",
            "schema": "data_labeler_schema",
            "mediatype": "application/json",
            "encoding": "json",
            "body": body,
        }
        for dialog, body in found.items()
    ]


def _marked(text: str, spans: Any) -> str:
    parts: list[str] = []
    done = 0
    span: Span
    for span in spans:
        parts += [text[done : span.start], f"{{{{{MARKS[span.label]}}}}}"]
        done = span.end
    return "".join([*parts, text[done:]])


def _checked(made: Any, original: Vcon, uuid: str, now: datetime, kind: str) -> Vcon:
    """The query's result as a vCon of its own. Raises PermanentError."""
    if not isinstance(made, dict):
        raise PermanentError("/jq_redaction_query: its result is no vCon but another value; mend the query")
    data = {name: value for name, value in made.items() if value is not None}
    for member in ("amended", "updated_at", "redacted"):
        data.pop(member, None)
    data |= {"uuid": uuid, "created_at": now.isoformat()}
    notes = Notes(Policy(received_at=now))
    try:
        refuse_inline_vcon(data)
        migrate(data, notes)
        notes.settle()
    except PlatformError as error:
        raise PermanentError(f"/jq_redaction_query: its result is no vCon: {error}; mend the query") from None
    data["redacted"] = {"uuid": original.uuid, "type": kind}
    return Vcon(data)


def _made(uuid: str) -> datetime:
    """The time that the uuid holds: the job's, so that a repeated job makes the same copy again."""
    milliseconds = UUID(uuid).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)

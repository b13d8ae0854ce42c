"""The processor ``diet``: takes out of a vCon what later readers do not need, once it is safely elsewhere.

Belongs here: what is taken out, and that it is somewhere else first. Not here: putting copies elsewhere
(``diet_copies.py``).

Elsewhere is a store that the options name, or this platform's own archive: it has every revision of a document, and the
media store every recording that a revision names. Either way the bytes are read and their hash is checked before
anything is taken out, and all of that happens before the first change: where one copy fails, the vCon stays whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, model_validator

from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
)
from vcon_platform.processors.diet_copies import Copies, InStore, Posted, Recording
from vcon_platform.processors.enclosed import body_of
from vcon_platform.processors.references import reference
from vcon_platform.store.media import token_of
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.media import content_hash_of, sniff

_PROMPT = "system_prompt"
_checked_reference = reference("DIET_")


def _address(value: str) -> str:
    if not value or value.startswith(("https://", "http://")):
        return value
    return _checked_reference(value)


class DietOptions(ProcessorOptions):
    """What ``diet`` must be told."""

    remove_dialog_body: bool = Field(
        default=False,
        title="Bodies of dialogs",
        description="Takes the body out of every dialog; what says who spoke when stays, and its content_hash. With "
        "copies or post_media_to_url the dialog names where the body is now.",
    )
    remove_analysis: bool = Field(default=False, title="All analyses", description="Takes every analysis out.")
    remove_analysis_types: tuple[str, ...] = Field(
        default=(), max_length=100, title="Types of analyses", description="Takes analyses of these types out."
    )
    remove_attachment_types: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        title="Types of attachments",
        description="Takes attachments of these media types or purposes out, e.g. image/jpeg, transcript.",
    )
    remove_system_prompts: bool = Field(
        default=False,
        title="System prompts",
        description="Takes every member system_prompt out, wherever it stands, so that no later model obeys it.",
    )
    copies: Annotated[str, AfterValidator(_checked_reference)] = Field(
        default="",
        title="Store for copies",
        description="env:DIET_STORE_URL, or another variable of that kind: an object store as VCON_OBJECT_STORE_URL "
        "has it (s3://bucket/prefix?region=…, gs://…, az://…). Bodies of dialogs are put there and read back first.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https://[^\x00-\x20\x7f\\?#]{1,1000})?$",
        title="Address of the copies",
        description="What comes before a copy's name in its url, e.g. https://media.example.com/calls. Empty: the "
        "store's own address, which needs the store's permission to read.",
    )
    signed_for: int | None = Field(
        default=None,
        ge=60,
        le=7 * 86_400,
        title="Signed for",
        description="Seconds for which the url is signed, so that who has it may read until then, and nobody by it "
        "afterwards. Unset: it is not signed.",
        json_schema_extra={"unit": "seconds"},
    )
    post_media_to_url: Annotated[str, AfterValidator(_address)] = Field(
        default="",
        max_length=2000,
        title="Service for copies",
        description="An address that bodies of dialogs are posted to as JSON, and that answers with the url of its "
        "copy: https://… to public hosts and those of VCON_WEBHOOK_HOSTS, or env:DIET_…. Used where copies is empty.",
    )

    @model_validator(mode="after")
    def _one_url(self) -> DietOptions:
        if self.public_url and self.signed_for is not None:
            raise ValueError("public_url and signed_for exclude each other: only the store's own address can be signed")
        return self


class Diet(Processor[DietOptions]):
    """A vCon without what is not needed any more."""

    name = "diet"
    version = "1.0.0"
    title = "Take content out"
    description = (
        "Takes bodies of dialogs, analyses, attachments or system prompts out of the vCon, after it is certain that "
        "they are elsewhere: in a store that is named, or in the archive of this platform."
    )
    effects = Effects(changes=True, network=True)
    options = DietOptions

    @classmethod
    def waits(cls, options: DietOptions) -> bool:
        """Only with a store outside."""
        return bool(options.copies or options.post_media_to_url)

    def process(self, io: ProcessorIO, options: DietOptions) -> ProcessorIO:
        """Raises NotApplicable where there is nothing of what is to be taken out; PermanentError where it was signed,
        or is nowhere else; what the store of copies raises."""
        vcon = io.vcon
        wanted: dict[str, list[Any]] = {array: list(vcon.data.get(array) or []) for array in ARRAYS}
        if options.remove_analysis or options.remove_analysis_types:
            wanted["analysis"] = [each for each in wanted["analysis"] if not _analysis_goes(each, options)]
        if options.remove_attachment_types:
            wanted["attachments"] = [each for each in wanted["attachments"] if not _attachment_goes(each, options)]
        if options.remove_dialog_body:
            copies = _copies(options) if any(_has_body(each) for each in wanted["dialog"]) else None
            wanted["dialog"] = [
                _without_body(io, index, each, copies) if _has_body(each) else each
                for index, each in enumerate(wanted["dialog"])
            ]
        tops: dict[str, Any] = {}
        if options.remove_system_prompts:
            wanted = {array: [_without_prompts(each) for each in elements] for array, elements in wanted.items()}
            tops = {name: _without_prompts(value) for name, value in vcon.data.items() if name not in ARRAYS}
        changed = {name: value for name, value in {**wanted, **tops}.items() if value != (vcon.data.get(name) or [])}
        changed = {name: value for name, value in changed.items() if value or vcon.data.get(name)}
        if not changed:
            raise NotApplicable("it has nothing of what is to be taken out")
        _kept_elsewhere(vcon)
        _unsigned(vcon, changed)
        for name, value in changed.items():
            _put(vcon, name, value)
        return io


def _put(vcon: Vcon, name: str, value: Any) -> None:
    """Replace as little as possible."""
    before = vcon.data.get(name)
    if name in ARRAYS and isinstance(before, list) and len(before) == len(value):
        for index, (old, new) in enumerate(zip(list(before), value, strict=True)):
            if old != new:
                vcon.put(name, new, index)
    else:
        vcon.put(name, value)


def _kept_elsewhere(vcon: Vcon) -> None:
    """The archive has what is stored; a vCon that was made in this very run is not stored yet."""
    if not vcon.revision:
        raise PermanentError(
            "this vCon is not stored yet, so the archive does not have what is to be taken out; have a later "
            "pipeline do that"
        )


def _unsigned(vcon: Vcon, changed: Mapping[str, Any]) -> None:
    """Of a signed vCon only what was added beside it can change, and only element by element."""
    if vcon.sealed is None:
        return
    for name, value in changed.items():
        signed, before = vcon.sealed.get(name, 0), vcon.data.get(name)
        same = isinstance(before, list) and len(before) == len(value) and before[:signed] == value[:signed]
        if name not in ARRAYS or not same:
            raise PermanentError(
                f"/{name}: the vCon was signed, and this cannot be taken out of it; make an amended copy "
                "(create_amended) and take it out there"
            )


# --- bodies ----------------------------------------------------------------------------------------------------


def _has_body(entry: Any) -> bool:
    """Whether there is something here: a url outside is none of ours."""
    if not isinstance(entry, dict):
        return False
    return token_of(entry.get("url")) is not None or entry.get("body") not in (None, "")


def _copies(options: DietOptions) -> Copies | None:
    if options.copies:
        return InStore(options.copies, options.public_url, options.signed_for)
    return Posted(options.post_media_to_url) if options.post_media_to_url else None


def _without_body(io: ProcessorIO, index: int, entry: dict[str, Any], copies: Copies | None) -> dict[str, Any]:
    """The dialog with its body's hash, and with the url of the copy where there is one."""
    where = f"/dialog/{index}"
    token = token_of(entry.get("url"))
    content = body_of(entry, io.context.media, where)
    found = content_hash_of(content)
    if token is not None and token != found:
        raise PermanentError(f"{where}: its body in the media store is not what its hash says; nothing was taken out")
    given = {name: value for name, value in entry.items() if name not in ("body", "encoding", "url")}
    given["content_hash"] = found
    if copies is not None:
        kind = sniff(content[:16]) or entry.get("mediatype")
        kind = kind if isinstance(kind, str) else ""
        given["url"] = copies.keep(Recording(io.vcon.uuid, index, where, kind, content, found))
    return given


# --- the rest --------------------------------------------------------------------------------------------------


def _analysis_goes(entry: Any, options: DietOptions) -> bool:
    return options.remove_analysis or (isinstance(entry, dict) and entry.get("type") in options.remove_analysis_types)


def _attachment_goes(entry: Any, options: DietOptions) -> bool:
    if not isinstance(entry, dict):
        return False
    kind = entry.get("mediatype")
    bare = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else None
    named = (entry.get("purpose"), entry.get("type"), kind, bare)
    return any(each in options.remove_attachment_types for each in named if isinstance(each, str))


def _without_prompts(value: Any) -> Any:
    """The value without any member ``system_prompt``; JSON within a text of encoding ``json`` is looked into."""
    if isinstance(value, list):
        return [_without_prompts(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_prompts(inner) for name, inner in value.items() if name != _PROMPT}
    body = kept.get("body")
    if kept.get("encoding") == "json" and isinstance(body, str) and _PROMPT in body:
        try:
            parsed = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return kept
        cleaned = _without_prompts(parsed)
        if cleaned != parsed:
            kept["body"] = orjson.dumps(cleaned).decode()
    return kept

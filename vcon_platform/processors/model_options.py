"""The options that every processor has which asks a language model, and what they mean.

Belongs here: the options, whose service they name, whether this conversation is asked about at all (``only_if``,
``sampling_rate``). Not here: the question (``model_question.py``), the call (``openai_calls.py``).

A key or an address never stands in a definition, only the variable that holds it: whoever may write a definition could
else have the key sent to a server of theirs. An address that is named and not set is an error, so that the key of one
service is never sent to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.processors.base import NotApplicable, ProcessorOptions
from vcon_platform.processors.dialog_choice import InputDialogs
from vcon_platform.processors.openai_calls import ChatService
from vcon_platform.processors.references import NotConfigured, needed, reference, value_of
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import read_body

PREFIXES = ("OPENAI_", "AZURE_OPENAI_", "LITELLM_", "HUGGINGFACE_")
"""Of variables that may hold a key, or an address, of a language model."""
OWN_ADDRESS = "env:OPENAI_BASE_URL"
"""The one address that need not be set."""
_OWNERS = {"OPENAI_": "openai", "AZURE_OPENAI_": "azure_openai", "LITELLM_": "litellm", "HUGGINGFACE_": "huggingface"}
_SHOWN = {
    "openai": "OpenAI",
    "azure_openai": "Azure OpenAI",
    "litellm": "LiteLLM",
    "huggingface": "Hugging Face",
}
_RESERVED = {
    "its own option": ("model", "max_tokens", "max_completion_tokens", "temperature", "response_format", "messages"),
    "a change of what comes back": ("stream", "stream_options", "n", "tools", "tool_choice", "functions", "audio"),
    "a copy kept elsewhere": ("store", "metadata"),
    "a reference only": ("api_key", "base_url"),
}
"""Members of a request that ``additional`` may not set, and what they are."""

_Reference = Annotated[str, AfterValidator(reference(*PREFIXES))]


def _additional(value: dict[str, Any]) -> dict[str, Any]:
    for what, names in _RESERVED.items():
        if taken := sorted(value.keys() & set(names)):
            raise ValueError(f"may not hold {taken[0]!r}: that is {what}")
    if len(orjson.dumps(value)) > 20_000:
        raise ValueError("is larger than 20,000 bytes")
    return value


class OnlyIf(BaseModel):
    """A condition on what stands in the vCon already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: Literal["attachments", "analysis"] = Field(
        default="attachments", title="Array", description="Where to look: attachments or analysis."
    )
    type: str = Field(
        min_length=1, max_length=200, title="Type", description="The type, or purpose, that an element must have."
    )
    includes: str = Field(
        min_length=1,
        max_length=1000,
        title="Includes",
        description="What its body must hold: in a list, or among tags, exactly this item; in a text, this text.",
    )


class ModelOptions(ProcessorOptions):
    """Subclass it; give fields again whose default is to be another."""

    input_dialogs: InputDialogs = Field(
        default="",
        title="Dialogs",
        description="Which dialogs are read: '' all, 'n' one, 'n:m' or 'n:m:i' a slice, or a list of indexes.",
    )
    model: str = Field(
        default="gpt-4.1-mini",
        min_length=1,
        max_length=200,
        title="Model",
        description="The model's name; at Azure that of the deployment.",
    )
    max_tokens: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        title="Most tokens",
        description="Tokens that one answer may have; models that think use some of them up for that.",
    )
    temperature: float = Field(
        default=0.0, ge=0, le=2, title="Temperature", description="From 0 (always the likeliest) to 2."
    )
    long: Literal["split", "refuse"] = Field(
        default="split",
        title="Long conversations",
        description="What happens to a conversation that the model cannot read at once. split: it is asked about each "
        "part, then for one answer made of these; refuse: the conversation fails. It is never cut off.",
    )
    context_tokens: int | None = Field(
        default=None,
        ge=256,
        le=100_000_000,
        title="Context",
        description="Tokens that the model can hold, question and answer together; unset: as known for the model's "
        "name, 8192 for a name that is not known.",
    )
    messages: Literal["turns", "single"] = Field(
        default="turns",
        title="Messages",
        description="turns: each turn is a message of its own; single: one system message with the task, one user "
        "message with the transcript, for models that take nothing else.",
    )
    additional: Annotated[dict[str, Any], AfterValidator(_additional)] = Field(
        default_factory=dict,
        title="Further parameters",
        description="Further members of the request, as the service documents them: reasoning_effort, verbosity, "
        "seed, top_p.",
    )
    answer_timeout: float | None = Field(
        default=None,
        ge=1,
        le=3600,
        title="Time for an answer",
        description="Seconds that one answer may take, 120 if unset; then the question is put again later. A model on "
        "a small machine of your own may need more.",
        json_schema_extra={"unit": "seconds"},
    )
    only_if: OnlyIf | None = Field(
        default=None,
        title="Only if",
        description="Ask only about a conversation that has such an attachment or analysis, e.g. {section: "
        "attachments, type: tags, includes: 'team:north'}; others go on unchanged.",
    )
    sampling_rate: float = Field(
        default=1.0,
        ge=0,
        le=1,
        title="Share",
        description="Share of the conversations that is asked about: 1 all, 0 none. Which ones depends on their "
        "uuids alone, so it is the same ones at every run.",
    )
    api_key: _Reference = Field(
        default="env:OPENAI_API_KEY",
        title="Key",
        description="The variable that holds the key.",
        json_schema_extra={"secret": True},
    )
    base_url: _Reference = Field(
        default=OWN_ADDRESS,
        title="Address",
        description="The variable that holds the address of the service, e.g. https://api.openai.com/v1; "
        "OPENAI_BASE_URL not set: OpenAI's own. Never the address itself, for the key goes there.",
    )
    azure_endpoint: _Reference = Field(
        default="",
        title="Azure endpoint",
        description="The variable that holds the endpoint of an Azure OpenAI resource, e.g. "
        "env:AZURE_OPENAI_ENDPOINT; then base_url has no meaning and api_key is the resource's.",
    )
    api_version: str = Field(
        default="2024-10-21",
        pattern=r"^[0-9A-Za-z.-]{1,40}$",
        title="API version",
        description="Azure's version of the protocol.",
    )
    organization: str = Field(
        default="", max_length=200, title="Organization", description="OpenAI's id of the organization that pays."
    )
    project: str = Field(default="", max_length=200, title="Project", description="OpenAI's id of the project.")

    @property
    def service(self) -> str:
        """Whose model is asked, as ledger, prices and pools call it."""
        named = self.azure_endpoint or self.base_url
        known = (owner for prefix, owner in _OWNERS.items() if named.startswith(f"env:{prefix}"))
        return "azure_openai" if self.azure_endpoint else next(known, "openai")


# --- whose service ---------------------------------------------------------------------------------------------


def service_of(options: ModelOptions) -> ChatService:
    """The service that the options name. Raises NotConfigured naming the variable that is not set."""
    azure = bool(options.azure_endpoint)
    named = options.azure_endpoint or options.base_url
    name = _SHOWN[options.service]
    address = value_of(named)
    if named and address is None and named != OWN_ADDRESS:
        raise NotConfigured(
            f"{name} is not configured: the environment variable {named.removeprefix('env:')} (option "
            f"{'azure_endpoint' if azure else 'base_url'}) is not set; set it in .env, restart the platform and "
            "re-execute"
        )
    return ChatService(
        key=needed(options.api_key, name, "api_key"),
        base_url=None if azure else address,
        azure_endpoint=address if azure else None,
        api_version=options.api_version if azure else "",
        organization=options.organization or None,
        project=options.project or None,
        name=name,
        usage_name=options.service,
        key_from=options.api_key.removeprefix("env:"),
    )


# --- whether it is asked about ---------------------------------------------------------------------------------


def check_wanted(vcon: Vcon, options: ModelOptions) -> None:
    """Raises NotApplicable where ``only_if`` or ``sampling_rate`` passes this conversation over. Call it first: it
    costs nothing."""
    if options.only_if is not None and not holds(vcon, options.only_if):
        raise NotApplicable(f"only_if: no {options.only_if.section} of that type includes what it asks for")
    if not sampled(vcon.uuid, options.sampling_rate):
        raise NotApplicable("sampling_rate: not one of those that are asked about")


def sampled(uuid: str, rate: float) -> bool:
    """True for ``rate`` of all uuids: 0 none, 1 all. The ones of a lower rate are among those of a higher one."""
    drawn = int.from_bytes(hashlib.sha256(f"sampling_rate {uuid}".encode()).digest()[:8], "big")
    return drawn < rate * 2**64


def holds(vcon: Vcon, condition: OnlyIf) -> bool:
    """Whether the condition is met."""
    return any(
        condition.type in (entry.get("type"), entry.get("purpose")) and _includes(entry, condition.includes)
        for entry in array(vcon.data, condition.section)
    )


def _includes(entry: Mapping[str, Any], wanted: str) -> bool:
    body = entry.get("body")
    if isinstance(body, str):
        try:
            parsed = orjson.loads(body) if entry.get("encoding") == "json" else body
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            parsed = body
        if isinstance(parsed, str):
            return wanted in parsed
        body = parsed
    if isinstance(body, list) and wanted in body:
        return True
    return any(":".join(tag) == wanted for tag in read_body(body).items) if isinstance(body, list | dict) else False

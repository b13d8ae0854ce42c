"""The processor ``webhook``: posts the conversation, or that there is one, to addresses outside.

Belongs here: the options, the request, its signature, what an answer means. Not here: where a request may go and how it
gets there (``outgoing.py``), doing it once and trying again (``store/effects.py``, ``pipelines/deliveries.py``).

Signed as Standard Webhooks has it (webhook-id, webhook-timestamp, webhook-signature), which receivers have libraries
for. Each address is an effect of its own: one that is down does not make another one get it twice. Where the connection
breaks after the request went out, nobody here knows whether it arrived; it is sent again under the same Idempotency-Key
by which the receiver can tell (or, by ``when_unclear: hold``, put aside for an operator).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.processors.base import (
    Effect,
    Effects,
    OutcomeUnknown,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.enclosed import Media, Sealed, exact, pack, pack_bytes, unpack, unpack_bytes, written
from vcon_platform.processors.once import OncePer, about, once_per_field
from vcon_platform.processors.outgoing import HOSTS, Address, address_of, refusal, send
from vcon_platform.processors.references import NotConfigured, needed, reference, value_of
from vcon_platform.store.outgoing_headers import HEADER_VALUE, check_headers
from vcon_platform.store.standard_webhooks import secret_bytes, signature
from vcon_platform.vcon.export import ExportVersion

PREFIX = "WEBHOOK_"
"""Of variables that may hold an address, a header's value, a secret of a webhook."""
MOST_PARAMETERS = 64 << 10
"""Bytes of parameters in a notice."""

_checked_reference = reference(PREFIX)


def _url(value: str) -> str:
    if value.startswith("env:"):
        return _checked_reference(value)
    if not re.fullmatch(r"https?://[^\x00-\x20\x7f\\]{1,2000}", value):
        raise ValueError("must be an address, https://host/path, or a reference, env:WEBHOOK_...")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    return check_headers(value, _checked_reference, f"{PREFIX}...")


class WebhookOptions(ProcessorOptions):
    """What ``webhook`` must be told."""

    urls: tuple[Annotated[str, AfterValidator(_url)], ...] = Field(
        default=(),
        max_length=20,
        title="Addresses",
        description="Where it is posted to, each by itself: https://… to public hosts and those of VCON_WEBHOOK_HOSTS, "
        "or env:WEBHOOK_…, a variable that holds an address, wherever it lies. Required.",
    )
    send: Literal["vcon", "notice"] = Field(
        default="vcon",
        title="What",
        description="vcon: the whole vCon as it is at this step. notice: only its uuid, the pipeline and the "
        "parameters that are named; who is told fetches what it may see.",
    )
    version: ExportVersion = Field(
        default="0.4.0",
        title="Version",
        description="The vCon's version: 0.4.0 and older ones, current, or conserver for its 0.0.1 form.",
    )
    sealed: Sealed = Field(
        default="form",
        title="Signed and encrypted",
        description="form: a signed or encrypted vCon is posted as it is (JWS, JWE), without what was added beside it; "
        "version and media have no meaning then. view: what can be read of it here is posted, like any other vCon.",
    )
    media: Media = Field(
        default="inline",
        title="Recordings",
        description="inline: within the vCon. none: bodies of dialogs are left out, their content_hash is in it.",
    )
    parameters: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        title="Parameters",
        description="Names of parameters that a notice holds, where the conversation has them.",
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        default_factory=dict,
        max_length=30,
        title="Headers",
        description="Further headers. What is secret is env:WEBHOOK_…, and goes only to addresses that are a variable "
        "themselves or stand in VCON_WEBHOOK_HOSTS.",
    )
    signing_secret: Annotated[str, AfterValidator(_checked_reference)] = Field(
        default="",
        title="Signing secret",
        description="env:WEBHOOK_SECRET, or another variable of that kind: the request is signed by HMAC-SHA256 as "
        "Standard Webhooks has it (whsec_… is base64, anything else is taken as it is). Empty: not signed.",
        json_schema_extra={"secret": True},
    )
    answer_within: float = Field(
        default=30.0,
        ge=1,
        le=120,
        title="Time for an answer",
        description="Seconds that one call may take, sending included.",
        json_schema_extra={"unit": "seconds"},
    )
    when_unclear: Literal["again", "hold"] = Field(
        default="again",
        title="When unclear",
        description="What happens where the connection breaks after the request was sent. again: it is sent again, "
        "with the same Idempotency-Key. hold: an operator decides ('vcon-platform effects').",
    )
    once_per: OncePer = once_per_field("It is posted to each address")


class Webhook(Processor[WebhookOptions]):
    """A call of somebody's address."""

    name = "webhook"
    version = "1.0.0"
    title = "Call a webhook"
    description = (
        "Posts the vCon as it is at this step, or a notice of it, to one or more addresses, after the conversation is "
        "settled and once. Signed; tried again while the receiver is down."
    )
    effects = Effects(sends=True)
    options = WebhookOptions

    def process(self, io: ProcessorIO, options: WebhookOptions) -> ProcessorIO:
        """Asks for the calls. Raises PermanentError where an address may not be called, or none is given, NotConfigured
        where a variable is not set."""
        if not options.urls:
            raise PermanentError("/urls: is empty; name an address")
        addresses = [_address(url, index, options.headers) for index, url in enumerate(options.urls)]
        _filled(options.headers)
        _secret(options.signing_secret)
        call: dict[str, Any] = options.model_dump(
            mode="json",
            include={"send", "version", "media", "headers", "signing_secret", "answer_within", "when_unclear"},
        )
        if options.send == "vcon":
            raw = exact(io) if options.sealed == "form" else None
            call |= {"packed": pack(io.vcon.data)} if raw is None else {"exact": pack_bytes(raw)}
        else:
            call["notice"] = _notice(io, options.parameters)
        for index, (url, address) in enumerate(zip(options.urls, addresses, strict=True)):
            shown = url if url.startswith("env:") else address.shown
            body = {**call, "url": url, "place": index}
            io.send(Effect(body, f"a call of {shown}", about(io, options.once_per, url, options.send)))
        return io

    def deliver(self, effect: Effect, key: str) -> None:
        """Call it. An answer of 2xx is success; 408, 425, 429 and 5xx are tried again."""
        call = effect.body
        address = _address(call["url"], call["place"], call["headers"])
        content, kind = _content(call, effect, key)
        headers = {**_signed(key, content, _secret(call["signing_secret"])), "Idempotency-Key": key}
        given = _filled(call["headers"])
        if not any(name.lower() == "content-type" for name in given):
            headers["Content-Type"] = kind
        try:
            answer = send(address, headers={**given, **headers}, content=content, seconds=call["answer_within"], most=0)
        except OutcomeUnknown as error:
            if call["when_unclear"] == "hold":
                raise OutcomeUnknown(f"{error}; look whether it arrived, then resend or drop it") from None
            raise TransientError(f"{error}; it is sent again with the same Idempotency-Key") from None
        if not answer.fine:
            raise refusal(address, answer, "the call")


def _signed(key: str, content: bytes, secret: bytes | None) -> dict[str, str]:
    """Id and time are told unsigned calls, too."""
    moment = int(time.time())
    headers = {"webhook-id": key, "webhook-timestamp": str(moment)}
    if secret is not None:
        headers["webhook-signature"] = signature(key, moment, content, secret)
    return headers


def _secret(named: str) -> bytes | None:
    if not named:
        return None
    text = needed(named, "The webhook", "signing_secret")
    try:
        return secret_bytes(text)
    except ValueError:
        raise NotConfigured(
            f"The webhook is not configured: the environment variable {named.removeprefix('env:')} begins with whsec_ "
            "and is no base64 after that"
        ) from None


def _content(call: Mapping[str, Any], effect: Effect, key: str) -> tuple[bytes, str]:
    """What is posted, and its media type."""
    if "notice" in call:
        return orjson.dumps({"id": key, **call["notice"]}), "application/json"
    if "exact" in call:
        return unpack_bytes(call["exact"]), "application/vcon"
    if effect.lent is None:
        raise PermanentError("the platform lends no recordings here; deliver it by the platform")
    document = unpack(call["packed"])
    return written(document, effect.lent.media, version=call["version"], bodies=call["media"]), "application/vcon"


def _address(url: str, index: int, headers: Mapping[str, str]) -> Address:
    address = address_of(url, "The webhook", f"urls/{index}")
    if not address.trusted and any(value.startswith("env:") for value in headers.values()):
        raise PermanentError(
            f"/urls/{index}: a header holds a secret, which goes only where this installation allows it: put host "
            f"{address.host} into {HOSTS}, or the address into a variable (env:{PREFIX}...)"
        )
    return address


def _filled(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with what their references stand for."""
    found: dict[str, str] = {}
    for name, text in headers.items():
        if not text.startswith("env:"):
            found[name] = text
            continue
        value = value_of(text)
        if value is None or not HEADER_VALUE.fullmatch(value):
            what = "is not set" if value is None else "must be one line of ASCII"
            raise NotConfigured(
                f"The webhook is not configured: the environment variable {text.removeprefix('env:')} (option headers, "
                f"{name}) {what}"
            )
        found[name] = value
    return found


def _notice(io: ProcessorIO, names: tuple[str, ...]) -> dict[str, Any]:
    parameters = {name: io.parameters[name] for name in names if name in io.parameters}
    try:
        size = len(orjson.dumps(parameters))
    except TypeError:
        raise PermanentError("/parameters: one of them cannot be written as JSON") from None
    if size > MOST_PARAMETERS:
        raise PermanentError(f"/parameters: they have more than {MOST_PARAMETERS} bytes; name fewer, or send the vCon")
    context = io.context
    return {
        "type": "vcon.processed",
        "vcon": io.vcon.uuid,
        "pipeline": context.pipeline,
        "pipeline_version": context.pipeline_version,
        "parameters": parameters,
    }

"""The processor ``datatrails``: records at DataTrails that a vCon of this fingerprint was there, once.

Belongs here: the options, the event, the calls of DataTrails' API (IAM by client credentials, events, assets). Not
here: the fingerprint (``fingerprint.py``), doing it once, after the commit (``store/effects.py``).

An event cannot be taken back, so it names no person: the vCon's uuid, its fingerprint, what was done. DataTrails cannot
tell doubles; where an answer to an event is lost, an operator decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

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
from vcon_platform.processors.fingerprint import fingerprint
from vcon_platform.processors.once import OncePer, about, once_per_field
from vcon_platform.processors.outgoing import Address, Answer, address_of, below, known_address, refusal, send
from vcon_platform.processors.references import needed, reference

OWN_ADDRESS = "https://app.datatrails.ai/archivist"
TOKEN_PATH = "/iam/v1/appidp/token"  # noqa: S105 - a path
SECONDS = 30.0
EARLY = 60.0
"""Seconds before its end that a token is not used any more."""

_Named = Annotated[str, AfterValidator(reference("DATATRAILS_"))]


def _attributes(value: dict[str, str]) -> dict[str, str]:
    if len(orjson.dumps(value)) > 10_000:
        raise ValueError("has more than 10,000 bytes")
    return value


class DataTrailsOptions(ProcessorOptions):
    """What ``datatrails`` must be told."""

    vcon_operation: str = Field(
        default="vcon",
        pattern=r"^[A-Za-z0-9_-]{1,60}$",
        title="Operation",
        description="What happened to the vCon; it is recorded as vcon_<operation>, e.g. created, transcribed.",
    )
    attributes: Annotated[dict[str, str], AfterValidator(_attributes)] = Field(
        default_factory=dict,
        title="Further attributes",
        description="Further attributes of the event. It cannot be taken back: nothing about people belongs here.",
    )
    asset_attributes: Annotated[dict[str, str], AfterValidator(_attributes)] = Field(
        default_factory=dict,
        title="Attributes of the asset",
        description="Where events must belong to an asset: the attributes of one per day, which is made if there is "
        "none. Empty: events without an asset.",
    )
    partner_id: str = Field(
        default="", pattern=r"^[\x20-\x7e]{0,200}$", title="Partner", description="DataTrails' id of the partner."
    )
    once_per: OncePer = once_per_field("The event is recorded")
    client_id: _Named = Field(
        default="env:DATATRAILS_CLIENT_ID",
        title="Client",
        description="The variable that holds the id of the custom integration.",
    )
    client_secret: _Named = Field(
        default="env:DATATRAILS_CLIENT_SECRET",
        title="Client's secret",
        description="The variable that holds its secret.",
        json_schema_extra={"secret": True},
    )
    api_url: _Named = Field(
        default="",
        title="Address",
        description=f"The variable that holds the address of the API; empty: {OWN_ADDRESS}. Never the address itself, "
        "for the secret goes there.",
    )


class DataTrails(Processor[DataTrailsOptions]):
    """A record at DataTrails."""

    name = "datatrails"
    version = "1.0.0"
    title = "Record at DataTrails"
    description = (
        "Records an event at DataTrails with the vCon's fingerprint and what was done to it, after the conversation is "
        "settled and once, so that others can prove later that it was there like this. Names no person."
    )
    effects = Effects(sends=True)
    options = DataTrailsOptions

    def __init__(self) -> None:
        self._tokens = _Tokens()

    def process(self, io: ProcessorIO, options: DataTrailsOptions) -> ProcessorIO:
        """Asks for the event. Raises NotConfigured where a variable is not set, PermanentError where the vCon has no
        fingerprint."""
        named = {"client_id": options.client_id, "client_secret": options.client_secret, "api_url": options.api_url}
        _Service.of(named)
        operation = "vcon_" + options.vcon_operation.lower().removeprefix("vcon_").removeprefix("vcon-")
        subject = f"vcon://{io.vcon.uuid}"
        attributes = {
            **options.attributes,
            "arc_display_type": operation,
            "arc_event_type": operation,
            "payload": fingerprint(io.vcon.data),
            "payload_hash_alg": "SHA-256",
            "payload_preimage_content_type": "application/vcon+json",
            "subject": subject,
            "vcon_operation": operation,
        }
        body = {
            **named,
            "attributes": attributes,
            "trails": [subject],
            "asset_attributes": dict(options.asset_attributes),
            "partner_id": options.partner_id,
        }
        io.send(Effect(body, f"an event {operation} at DataTrails", about(io, options.once_per, operation)))
        return io

    def deliver(self, effect: Effect, key: str) -> None:
        """Record the event."""
        wanted = effect.body
        call = _Call(_Service.of(wanted), self._tokens, wanted["partner_id"])
        attributes = {**wanted["attributes"], "effect": key}
        if wanted["asset_attributes"]:
            asset = call.asset(wanted["asset_attributes"])
            event = {"operation": "Record", "behaviour": "RecordEvidence", "event_attributes": attributes}
            call.record(f"/v2/{asset}/events", event)
        else:
            call.record("/v1/events", {"attributes": attributes, "trails": wanted["trails"]})


class _Service:
    """Whose account, and where."""

    def __init__(self, client_id: str, client_secret: str, address: Address) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.address = address

    @classmethod
    def of(cls, named: Mapping[str, Any]) -> _Service:
        """What the references stand for. Raises NotConfigured."""
        url = named["api_url"]
        return cls(
            needed(named["client_id"], "DataTrails", "client_id"),
            needed(named["client_secret"], "DataTrails", "client_secret"),
            address_of(url, "DataTrails", "api_url") if url else known_address(OWN_ADDRESS),
        )


class _Tokens:
    """Bearer tokens until they end, shared by threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Address, str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def token(self, service: _Service, *, fresh: bool = False) -> str:
        """A token that is good. Raises TransientError, PermanentError."""
        key = (service.address, service.client_id, service.client_secret)
        with self._lock:
            token, end = self._kept.get(key, ("", 0.0))
            if token and not fresh and time.monotonic() < end:
                return token
            token, lasts = _token(service)
            self._kept[key] = (token, time.monotonic() + lasts - EARLY)
            return token


def _token(service: _Service) -> tuple[str, float]:
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": service.client_id,
            "client_secret": service.client_secret,
        }
    ).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    address = below(service.address, TOKEN_PATH)
    try:
        answer = send(address, headers=headers, content=form, seconds=SECONDS)
    except OutcomeUnknown as error:  # a token more does no harm
        raise TransientError(f"DataTrails: {error}") from None
    if answer.status in (400, 401, 403):
        raise PermanentError(
            f"DataTrails refused the client (status {answer.status}); check DATATRAILS_CLIENT_ID and "
            "DATATRAILS_CLIENT_SECRET, or the variables that the options client_id and client_secret name"
        )
    if not answer.fine:
        raise refusal(address, answer, "for a token")
    reply = _json(answer)
    token, lasts = reply.get("access_token"), reply.get("expires_in")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise TransientError(f"{address.shown} answered without a token; check DATATRAILS_API_URL if this lasts")
    return token, float(lasts) if isinstance(lasts, int | float) else 0.0


class _Call:
    """Calls of one effect."""

    def __init__(self, service: _Service, tokens: _Tokens, partner_id: str) -> None:
        self._service = service
        self._tokens = tokens
        self._partner = partner_id

    def asset(self, attributes: Mapping[str, str]) -> str:
        """The identity of today's asset, which is made if there is none."""
        wanted = {**attributes, "droid_id": datetime.now(UTC).date().isoformat()}
        query = urlencode({f"attributes.{name}": value for name, value in wanted.items()})
        try:
            found = self._answer("GET", f"/v2/assets?{query}")
            assets = _json(found).get("assets")
            if isinstance(assets, list) and assets and isinstance(assets[0], dict):
                return _identity(assets[0])
            made = {"behaviours": ["RecordEvidence"], "attributes": wanted, "public": False}
            return _identity(_json(self._answer("POST", "/v2/assets", made)))
        except OutcomeUnknown as error:  # an asset more does no harm
            raise TransientError(f"DataTrails: {error}") from None

    def record(self, path: str, event: Mapping[str, Any]) -> None:
        """Record an event. Raises OutcomeUnknown where the answer is lost."""
        try:
            self._answer("POST", path, event)
        except OutcomeUnknown as error:
            raise OutcomeUnknown(
                f"DataTrails: {error}; look whether the event is there, then resend or drop it"
            ) from None

    def _answer(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Answer:
        address = below(self._service.address, path)
        for fresh in (False, True):
            headers = {
                "Authorization": f"Bearer {self._tokens.token(self._service, fresh=fresh)}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
            if self._partner:
                headers["DataTrails-Partner-ID"] = self._partner
            raw = b"" if content is None else orjson.dumps(content)
            answer = send(address, method=method, headers=headers, content=raw, seconds=SECONDS)
            if answer.status != 401:  # the token may have been withdrawn before its end
                break
        if not answer.fine:
            if method == "POST" and answer.status >= 500 and answer.status != 503:
                raise OutcomeUnknown(f"{address.shown} answered with status {answer.status}")
            raise refusal(address, answer, "the call")
        return answer


def _json(answer: Answer) -> dict[str, Any]:
    try:
        reply = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        reply = None
    return reply if isinstance(reply, dict) else {}


def _identity(asset: Mapping[str, Any]) -> str:
    identity = asset.get("identity")
    if not isinstance(identity, str) or not identity.startswith("assets/") or not identity.isascii() or "?" in identity:
        raise TransientError(
            "DataTrails answered without the identity of an asset; check DATATRAILS_API_URL if this lasts"
        )
    return identity

"""A webhook as a destination: every change of a conversation's rows is posted to an address.

Belongs here: the options, the request, what an answer means. Not here: the message and what was sent already
(``messages.py``), where a request may go (``calling.py``).

Signed as Standard Webhooks has it, like the processor ``webhook``, which posts a conversation once, at a step of its
pipeline. This one goes on telling: when the rows change, when they are withdrawn, when the conversation is erased. With
a column from ``vcon`` the rows hold the whole document.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destination import Connections
from vcon_platform.projections.destinations.calling import Service, address_of, address_option, needed
from vcon_platform.projections.destinations.messages import Message, MessageDestination, Receipt
from vcon_platform.projections.destinations.option_fields import seconds_to_answer, secret
from vcon_platform.projections.errors import DestinationError
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference
from vcon_platform.store.outgoing_headers import HEADER_VALUE, check_headers
from vcon_platform.store.standard_webhooks import secret_bytes, signature

if TYPE_CHECKING:
    from redis import Redis

PREFIX = "WEBHOOK_"
TITLE = "Webhook"
PORTION = 100
"""Messages between two notes of what was acknowledged."""
_REFUSED = frozenset({400, 413, 422})
"""Answers that are about this message; any other that is not fine is about all of them."""


def _headers(value: dict[str, str]) -> dict[str, str]:
    return check_headers(value, reference(PREFIX), f"{PREFIX}...")


class WebhookOptions(BaseModel):
    """What ``webhook`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(address_option(PREFIX))] = Field(
        title="Address",
        description="Where changes are posted: https://… to public hosts and those of VCON_WEBHOOK_HOSTS, or "
        "env:WEBHOOK_…, a variable that holds an address, wherever it lies.",
    )
    signing_secret: Annotated[str, AfterValidator(reference(PREFIX))] = secret(
        "Signing secret",
        "env:WEBHOOK_…: requests are signed by HMAC-SHA256 as Standard Webhooks has it (whsec_… is base64, "
        "anything else is taken as it is). Empty: not signed.",
    )
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(
        default_factory=dict,
        max_length=30,
        title="Headers",
        description="Further headers. What is secret is env:WEBHOOK_…, and goes only to addresses that are a variable "
        "themselves or stand in VCON_WEBHOOK_HOSTS.",
    )
    answer_within: float = seconds_to_answer(
        "Seconds that one call may take, sending included.", default=30.0, most=120
    )
    at_once: int = Field(
        default=4, ge=1, le=32, title="At once", description="Calls that are under way at the same time at most."
    )


class WebhookDestination(MessageDestination):
    """Changes of rows as calls of an address."""

    kind: ClassVar[str] = "webhook"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = WebhookOptions

    def __init__(self, client: Redis, service: Service, headers: Mapping[str, str], secret: bytes | None, at_once: int):
        super().__init__(client)
        self._service = service
        self._headers = headers
        self._secret = secret
        self._at_once = at_once

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        options = WebhookOptions.model_validate(dict(projection.options_for(cls.kind)))
        keyed = any(value.startswith("env:") for value in options.headers.values())
        address = address_of(projection.name, TITLE, "url", options.url, secret=keyed)
        headers = {
            name: _header(projection.name, name, text) if text.startswith("env:") else text
            for name, text in options.headers.items()
        }
        secret: bytes | None = None
        if options.signing_secret:
            named = options.signing_secret
            try:
                secret = secret_bytes(needed(projection.name, TITLE, "signing_secret", named))
            except ValueError:
                raise DestinationError(
                    f"projection {projection.name}: {TITLE}: the variable {named.removeprefix('env:')} begins with "
                    "whsec_ and is no base64 after that"
                ) from None
        service = Service(TITLE, address, seconds=options.answer_within)
        return cls(connections.redis(), service, headers, secret, options.at_once)

    @classmethod
    def target(cls, projection: Projection) -> str:
        """The address without path and query, which may hold keys; messages name their projection, so any number of
        them may go there."""
        url = str(projection.options_for(cls.kind).get("url", ""))
        if url.startswith("env:"):
            return f"{url} ({projection.name})"
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2].partition('?')[0]} ({projection.name})"

    def send(self, projection: Projection, messages: Sequence[Message]) -> Iterator[Sequence[Receipt]]:
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="webhook") as pool:
            for at in range(0, len(messages), PORTION):
                failed: list[DestinationError] = []
                enough = Event()

                def post(
                    message: Message, failed: list[DestinationError] = failed, enough: Event = enough
                ) -> Receipt | None:
                    if enough.is_set():
                        return None
                    try:
                        return self._post(projection, message)
                    except DestinationError as error:
                        failed.append(error)
                        enough.set()
                        return None

                yield [receipt for receipt in pool.map(post, messages[at : at + PORTION]) if receipt is not None]
                if failed:
                    raise failed[0]

    def _post(self, projection: Projection, message: Message) -> Receipt:
        moment = int(time.time())
        headers = {
            "Content-Type": "application/json",
            **self._headers,
            "webhook-id": message.id,
            "webhook-timestamp": str(moment),
            "Idempotency-Key": message.id,
        }
        if self._secret is not None:
            headers["webhook-signature"] = signature(message.id, moment, message.body, self._secret)
        answer = self._service.call(
            projection.name, "POST", "", content=message.body, headers=headers, fine=_REFUSED, most=0
        )
        return Receipt(message, "" if answer.fine else f"the receiver answered with status {answer.status}")


def _header(projection: str, name: str, text: str) -> str:
    value = needed(projection, TITLE, f"headers, {name}", text)
    if not HEADER_VALUE.fullmatch(value):
        raise DestinationError(
            f"projection {projection}: {TITLE}: the variable {text.removeprefix('env:')} (option headers, {name}) must "
            "be one line of ASCII"
        )
    return value

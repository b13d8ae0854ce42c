"""Calls of an HTTP service by a destination: where they may go, trying again, and what an answer means.

Belongs here: what the destinations that speak HTTP share. Not here: what they say (their own files), where a request
may go and how it gets there (``store/outgoing.py``).

Every call that a destination makes may be made twice (upserts, deletions, questions), so one whose answer was lost is
simply made again. A service that asks for more patience than a landing has is left for later: its days stay behind, and
the sensor comes back. Messages name scheme, host and port of an address only, for paths and queries hold keys.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.references import reference, value_of, variable_of
from vcon_platform.store import outgoing
from vcon_platform.store.outgoing import HOSTS, Address, Answer, NotCalled, NotReached, Unanswered
from vcon_platform.store.retry_after import seconds_in

MOST_ANSWER = 64 << 20
"""Bytes of an answer: a page of what a service holds may be long."""
TRIES = 5
PATIENCE = 60.0
"""Seconds that one call waits at most, all its tries together."""


def address_option(*prefixes: str) -> Callable[[str], str]:
    """A validator: an address, https://..., or ``env:NAME`` of a variable (of these prefixes) that holds one."""
    check = reference(*prefixes)

    def checked(value: str) -> str:
        if value.startswith("env:"):
            return check(value)
        try:
            outgoing.chosen_address(value, "the value")
        except NotCalled:
            raise ValueError(f"must be an address, https://host/path, or a reference, env:{prefixes[0]}...") from None
        return value

    return checked


def needed(projection: str, title: str, option: str, given: str) -> str:
    """What a reference stands for. Raises DestinationError naming projection, option and variable."""
    found = value_of(given)
    if found is None:
        variable = variable_of(given)
        if variable is None:
            raise DestinationError(
                f"projection {projection}: {title}: the option {option} is empty; write env:NAME there"
            )
        raise DestinationError(
            f"projection {projection}: {title}: the environment variable {variable} (option {option}) is not set; "
            "set it in .env and restart the platform"
        )
    return found


def address_of(projection: str, title: str, option: str, given: str, *, secret: bool) -> Address:
    """The address that an option names, literally or by a reference. ``secret``: a key is sent there, so the
    installation must have chosen it. Raises DestinationError saying why it is not called."""
    try:
        if given.startswith("env:"):
            text = needed(projection, title, option, given)
            return outgoing.chosen_address(text, f"the variable {given.removeprefix('env:')}")
        address = outgoing.literal_address(given, f"/{option}")
    except NotCalled as error:
        raise DestinationError(f"projection {projection}: {title}: {error}") from None
    if secret and not address.trusted:
        raise DestinationError(
            f"projection {projection}: {title}: /{option}: a key goes only where this installation allows it: put host "
            f"{address.host} into {HOSTS}, or the address into a variable (env:NAME)"
        )
    return address


def pause(seconds: float) -> None:
    """Wait. Tests let no time pass here."""
    time.sleep(seconds)


class Service:
    """A service that is called again and again. ``per_second``: calls that it takes at most."""

    def __init__(
        self,
        title: str,
        address: Address,
        *,
        seconds: float = 30.0,
        per_second: float | None = None,
        tries: int = TRIES,
    ) -> None:
        self.title = title
        self.address = address
        self._seconds = seconds
        self._between = 1 / per_second if per_second else 0.0
        self._tries = tries
        self._next = 0.0
        self.calls = 0
        """How many were made so far: services count them, and so should who pays for them."""

    def call(
        self,
        projection: str,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        fine: Collection[int] = (),
        most: int = MOST_ANSWER,
    ) -> Answer:
        """The answer, which is 2xx or one of ``fine``. ``path`` is below the service's address. Raises
        DestinationUnavailable where nobody is there or all is too busy, DestinationError where it refuses."""
        address = outgoing.below(self.address, path) if path else self.address
        waited = 0.0
        for attempt in range(1, self._tries + 1):
            self._keep_pace()
            self.calls += 1
            wait: float | None = None
            try:
                answer = outgoing.send(
                    address, method=method, headers=headers, content=content, seconds=self._seconds, most=most
                )
            except NotCalled as error:
                raise DestinationError(f"projection {projection}: {self.title}: {error}") from None
            except (NotReached, Unanswered) as error:
                told = str(error)
            else:
                if answer.fine or answer.status in fine:
                    return answer
                told = f"{self.address.shown} answered {method} with status {answer.status}"
                if not answer.passing:
                    raise DestinationError(f"projection {projection}: {self.title}: {told}{_cure(answer.status)}")
                wait = seconds_in(answer.headers)
            if wait is None:
                wait = min(0.5 * 2 ** (attempt - 1), 8.0) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            waited += wait
            if attempt == self._tries or waited > PATIENCE:
                break
            pause(wait)
        raise DestinationUnavailable(f"projection {projection}: {self.title}: {told}; the rows follow at the next try")

    def json(self, projection: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The same with JSON in both directions; None where the answer has no body."""
        content = b"" if body is None else orjson.dumps(body)
        headers = {"Accept": "application/json", **(options.pop("headers", None) or {})}
        if content:
            headers.setdefault("Content-Type", "application/json")
        return self.read(projection, self.call(projection, method, path, content=content, headers=headers, **options))

    def read(self, projection: str, answer: Answer) -> Any:
        """An answer's JSON. Raises DestinationError where it is none: something else listens there."""
        try:
            return orjson.loads(answer.body) if answer.body.strip() else None
        except orjson.JSONDecodeError:
            raise DestinationError(
                f"projection {projection}: {self.title}: {self.address.shown} answered with something that is no JSON; "
                "is it the right address?"
            ) from None

    def _keep_pace(self) -> None:
        if self._between:
            now = time.monotonic()
            if self._next > now:
                pause(self._next - now)
            self._next = max(now, self._next) + self._between


def _cure(status: int) -> str:
    if status in (401, 403):
        return "; check the key, and what it may do there"
    if status == 404:
        return "; check the address, and that what it names is there"
    if 300 <= status < 400:
        return "; redirects are not followed: name the address that is meant"
    return ""

"""A processor's request to somebody outside: ``store/outgoing.py`` in the words of processors.

Belongs here: addresses that are options, and which of a processor's errors stands for what went wrong. Not here: where
a request may go and how it gets there (``store/outgoing.py``), what is sent (``webhook.py``, ``diet_copies.py``…).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vcon_platform.processors.base import OutcomeUnknown, PermanentError, TransientError
from vcon_platform.processors.references import needed
from vcon_platform.store import outgoing
from vcon_platform.store.outgoing import HOSTS as HOSTS
from vcon_platform.store.outgoing import MOST_ANSWER, NotCalled, NotReached, Unanswered
from vcon_platform.store.outgoing import Address as Address
from vcon_platform.store.outgoing import Answer as Answer
from vcon_platform.store.outgoing import below as below
from vcon_platform.store.retry_after import seconds_in


def address_of(value: str, service: str, option: str) -> Address:
    """The address that an option names, literally or as ``env:NAME``. Raises PermanentError saying why it is not
    called, NotConfigured where the variable is not set."""
    with _as_processors_say():
        if value.startswith("env:"):
            text = needed(value, service, option).strip()
            return outgoing.chosen_address(text, f"the variable {value.removeprefix('env:')}")
        return outgoing.literal_address(value, f"/{option}")


def known_address(url: str) -> Address:
    """The address of a service that is written down in the platform itself."""
    with _as_processors_say():
        return outgoing.chosen_address(url, "the address")


def send(
    address: Address,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    seconds: float = 30.0,
    most: int = MOST_ANSWER,
) -> Answer:
    """Send a request, and read the answer, whatever its status: :func:`vcon_platform.store.outgoing.send`.

    Raises TransientError or PermanentError where nothing was sent, OutcomeUnknown where it was and no whole answer came
    back."""
    with _as_processors_say():
        return outgoing.send(address, method=method, headers=headers, content=content, seconds=seconds, most=most)


def refusal(address: Address, answer: Answer, what: str) -> TransientError | PermanentError:
    """What an answer that is not fine means: 408, 425, 429 and 5xx may pass, everything else will not."""
    told = f"{address.shown} answered {what} with status {answer.status}"
    if answer.passing:
        return TransientError(told, retry_after=seconds_in(answer.headers))
    if 300 <= answer.status < 400:
        return PermanentError(f"{told}; redirects are not followed: name the address that is meant")
    return PermanentError(told)


@contextmanager
def _as_processors_say() -> Iterator[None]:
    try:
        yield
    except NotCalled as error:
        raise PermanentError(str(error)) from None
    except NotReached as error:
        raise TransientError(str(error)) from None
    except Unanswered as error:
        raise OutcomeUnknown(str(error)) from None

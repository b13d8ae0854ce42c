"""The adapter contract: what a source hands over, and how it says that it could not.

Belongs here: :class:`Capture`, :class:`Problem`, :class:`AdapterSettings`, :class:`Adapter`. Not here: any source's
own format (one file per source), storing what was captured (``intake.py``), ticking (``sensors/``).

An adapter knows nothing of Dagster, Redis or Postgres. It looks at its source, and says what is there that the caller
has not seen yet; the caller stores it, remembers its claims, and stops asking when its time is over. So an adapter
keeps no state: whatever crashes in between, the next look offers the same again, under the same uuid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.document import Vcon


class AdapterError(PlatformError):
    """A source cannot be used at all (its folder is missing, its settings contradict each other)."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One finished conversation, as found in its source.

    ``vcon`` is complete but for the audio: a dialog that is a key of ``recordings`` has no ``body`` and no ``url``
    yet. ``recordings`` names the local file for each such dialog; it is streamed by whoever stores it and may have
    changed since. ``source_id`` is the source's own id of the conversation; ``day`` the UTC day it began.

    ``claims`` maps source items to fingerprints. Handed back as ``seen`` they keep unchanged items from being offered
    again, and let changed ones (a recording that came late or was replaced) through. Keys and fingerprints hold file
    names and belong to the conversation: keep them out of ledger and logs, and erase them with it.
    """

    vcon: Vcon
    recordings: Mapping[int, Path]
    source_id: str
    day: date
    claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """A source item that cannot be read. It never stops its neighbours.

    Remember ``seen[key] = fingerprint`` and it is reported once, and again only when the item has changed. ``code`` is
    a short stable word (``not_json``, ``no_start``…), ``message`` a sentence for an operator without personal data.
    """

    key: str
    fingerprint: str
    code: str
    message: str


class AdapterSettings(BaseModel):
    """What every adapter's settings file says. Subclass it; each setting is one field with title, description and
    default, which is the validation, the documentation and the form at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: str = Field(title="Kind", description="Which adapter this is, e.g. freeswitch.")
    name: str = Field(
        title="Name",
        description="Names this source. It is part of every uuid made from it: do not change it once in use.",
        pattern=r"^[a-z][a-z0-9_]{0,62}$",
    )
    enabled: bool = Field(default=True, title="Enabled", description="False: the source is not looked at.")
    strict: bool = Field(
        default=False,
        title="Strict",
        description="True: a conversation whose vCon would be kept with findings is refused instead, and reported.",
    )
    queues: tuple[str, ...] = Field(
        default=(),
        title="Queues",
        description="Pipelines whose queues a new conversation enters. Empty: it is stored and nothing more.",
    )

    @field_validator("queues")
    @classmethod
    def _distinct(cls, queues: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(queues))


class Adapter(ABC):
    """Reads one kind of source. Built from validated settings; building one touches nothing outside."""

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    version: ClassVar[str]
    settings_model: ClassVar[type[AdapterSettings]]

    def __init__(self, settings: AdapterSettings) -> None:
        self.settings = settings

    @abstractmethod
    def discover(self, seen: Mapping[str, str], now: datetime) -> Iterator[Capture | Problem]:
        """What the source holds that ``seen`` does not, oldest first, lazily: every item is given as soon as it is
        known, so the caller may stop whenever its time is over and goes on at its next look.

        ``seen`` maps source items to fingerprints, from earlier claims and problems; ``now`` is the time by which
        "still being written" is judged (timezone-aware). Raises :class:`AdapterError` if the source cannot be read.
        """

    @abstractmethod
    def history_days(self) -> Iterable[date]:
        """The days the source's archive has, oldest first."""

    @abstractmethod
    def history(self, day: date) -> Iterator[Capture | Problem]:
        """Everything the archive has of one day. What was captured live gets the same uuid and the same document."""

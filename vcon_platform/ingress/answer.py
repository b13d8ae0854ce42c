"""What somebody who brings a document says of it, and is told about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import IO, Any

from vcon_platform.ingress.beside import Beside
from vcon_platform.store import keys
from vcon_platform.vcon.faults import Fault, Finding


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from. ``name`` is the adapter's or the client's; it stands in ledger and search.

    ``strict``: what is otherwise told as a finding refuses the document. ``require_signature``: so does any signature
    state but valid. ``zone``: of dates that name none. ``meta`` is kept beside the document. ``by``: who
    brings it, for the ledger (a key's id). ``sees``: may they see a
    vCon that came by this adapter and has these tags (``name:value``)? What they do not see they cannot revise. None:
    they see all. Raises :class:`~vcon_platform.store.keys.NameRefused` for a queue that cannot be: before anything of a
    document is kept.
    """

    name: str
    queues: tuple[str, ...] = ()
    strict: bool = False
    require_signature: bool = False
    zone: tzinfo = UTC
    meta: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    sees: Callable[[str | None, Sequence[str]], bool] | None = None

    def __post_init__(self) -> None:
        for queue in self.queues:
            keys.queue(queue)


@dataclass(frozen=True, slots=True)
class Condition:
    """Under which a document may be taken in: as a ``new`` vCon only, as one that is ``there`` only, or as the revision
    after ``revision`` only. One under which these very bytes were taken in before is met: a request may come again."""

    new: bool = False
    there: bool = False
    revision: int | None = None


ALWAYS = Condition()


@dataclass(frozen=True, slots=True)
class Offered:
    """A document as somebody brings it. ``media_type``: what they say it is. ``beside``: what came with it in a
    bundle. ``condition``: one that is not met refuses it, with 412."""

    content: bytes | IO[bytes]
    source: Source
    media_type: str | None = None
    beside: Beside | None = None
    condition: Condition = ALWAYS


UUID_TAKEN = Fault("uuid_taken", "/uuid", "this uuid is taken; give the vCon another one", 409)
"""For somebody who brings a vCon under the uuid of one that they do not see."""


THERE = Fault("already_there", "/uuid", "there is a vCon of this uuid, and it was to be a new one", 412)


def changed(revision: int) -> Fault:
    """For somebody who wanted to revise another revision than the one that there is (0: there is none)."""
    told = f"the vCon is at revision {revision}" if revision else "there is no vCon of this uuid"
    return Fault("revision_changed", "/uuid", f"{told}; read it again, and decide anew", 412)


class Outcome(StrEnum):
    """What became of a document."""

    CREATED = "created"
    REVISED = "revised"
    KNOWN = "known"
    """These very bytes are kept already: nothing was done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A document that was taken in, durably: it is in the archive and in Redis.

    ``parked``: critical extensions that this platform does not know; no pipeline gets such a vCon. ``left_behind``:
    analyses of an earlier revision that speak of something the new content does not have any more. ``made``: the
    document as it is stored, where it is new.
    """

    uuid: str
    outcome: Outcome
    revision: int
    form: str = "unsigned"
    state: str = "ready"
    findings: tuple[Finding, ...] = ()
    parked: tuple[str, ...] = ()
    left_behind: int = 0
    made: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def status(self) -> int:
        """The HTTP answer: 201 new and clean, 202 new with findings (or opaque, or parked), 200 known before."""
        if self.outcome is not Outcome.CREATED:
            return 200
        return 202 if self.findings or self.state != "ready" else 201

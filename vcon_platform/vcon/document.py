"""The document: a :class:`Vcon` is a dict as orjson read it, plus the changes made to it since.

Belongs here: reading members, and recording changes while applying them. Not here: checking bytes from outside
(``parse.py``), making ids (``uuids.py``), hashes and encodings (``media.py``), the turn table (``turns.py``).

Why changes are recorded: two pipelines may hold the same document at once. What is committed is therefore never
the document but the list of changes; appends of two writers merge, a conflicting replace is refused and made
again from a fresh read (``store/commit.lua``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    import pandas as pd

ARRAYS = ("parties", "dialog", "analysis", "attachments")
ArrayName = Literal["parties", "dialog", "analysis", "attachments"]


@dataclass(frozen=True, slots=True)
class Append:
    """Add one element at the end of an array. Never conflicts."""

    array: ArrayName
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """Replace one element of an array, or a top-level member (``index`` None). Needs an unchanged revision."""

    member: str
    index: int | None
    value: Any


Change = Append | Put


class Sealed(PlatformError):
    """A member of a signed vCon was to be replaced: what was signed stays as it was signed."""


def change_to_json(change: Change) -> list[Any]:
    """A change as a JSON value, for checkpoints and the archive."""
    if isinstance(change, Append):
        return ["append", change.array, change.value]
    return ["put", change.member, change.index, change.value]


def change_from_json(value: list[Any]) -> Change:
    """What :func:`change_to_json` made."""
    return Append(value[1], value[2]) if value[0] == "append" else Put(value[1], value[2], value[3])


@dataclass(frozen=True, slots=True)
class Envelope:
    """The signed or encrypted form of a document (or the plain one that took its place). ``raw``: its exact bytes.
    ``view``: the document in it, as JSON, without what was added since. ``meta``: what the store is to keep beside it
    (``form``, ``state``, ``signature``, ``signer``, ``sealed``). ``withdrawn``: projection and day of each row that the
    document no longer shows. ``kept``: it came so, or the store has it; there is nothing to write."""

    raw: bytes
    view: bytes
    meta: Mapping[str, str]
    withdrawn: tuple[tuple[str, str], ...] = ()
    kept: bool = False


class Vcon:
    """One conversation's document.

    ``data`` is the 0.4.0 view as a plain dict (draft-ietf-vcon-vcon-core-03/-04); ``revision`` is the store's
    revision it was read at (0: not stored yet) and ``commit`` the id of the commit that made it; ``changes`` is what
    was done to it since, oldest first. ``sealed`` is None, or, for a vCon that came signed, how many elements of each
    array were signed: those, and the other members, cannot be replaced (draft -03 section 5.1: a change makes a new,
    amended vCon). What is appended beside them can. ``envelope`` is the form that it was given here and that is to be
    its next revision (:meth:`reform`); None while it has the one that is stored.
    """

    __slots__ = ("changes", "commit", "data", "envelope", "revision", "sealed")

    def __init__(
        self,
        data: dict[str, Any],
        revision: int = 0,
        changes: Iterable[Change] = (),
        *,
        commit: str = "",
        sealed: Mapping[str, int] | None = None,
        envelope: Envelope | None = None,
    ) -> None:
        self.data = data
        self.revision = revision
        self.commit = commit
        self.sealed = sealed
        self.envelope = envelope
        self.changes: list[Change] = []
        for change in changes:
            self.apply(change)

    def __repr__(self) -> str:  # no content: documents are personal data
        return f"Vcon({self.uuid!r}, revision={self.revision}, changes={len(self.changes)})"

    @property
    def uuid(self) -> str:
        return str(self.data["uuid"])

    @property
    def created_at(self) -> str:
        return str(self.data["created_at"])

    @property
    def parties(self) -> list[dict[str, Any]]:
        return self.data.get("parties") or []

    @property
    def dialog(self) -> list[dict[str, Any]]:
        return self.data.get("dialog") or []

    @property
    def analysis(self) -> list[dict[str, Any]]:
        return self.data.get("analysis") or []

    @property
    def attachments(self) -> list[dict[str, Any]]:
        return self.data.get("attachments") or []

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.changes) or self.reformed

    @property
    def reformed(self) -> bool:
        """Whether it was given another form here."""
        return self.envelope is not None and not self.envelope.kept

    @property
    def handed_out(self) -> dict[str, Any]:
        """What somebody is given who asked for the document: the form that it has here where that is known, else what
        can be read of it."""
        if self.envelope is None or self.changes:
            return self.data
        value: dict[str, Any] = orjson.loads(self.envelope.raw)
        return value

    def reform(
        self,
        raw: bytes,
        data: dict[str, Any],
        meta: Mapping[str, str],
        *,
        sealed: Mapping[str, int] | None,
        withdrawn: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Go on in another form: ``raw``, in which ``data`` is what can be read here. What was changed so far is within
        it, or gone. ``data`` is kept as it is; changes follow on top of it."""
        self.data, self.sealed = data, sealed
        self.envelope = Envelope(raw, orjson.dumps(data), dict(meta), tuple(withdrawn))
        self.changes = []

    def copy(self) -> Vcon:
        """A vCon of its own with the same pending changes and form."""
        same = Vcon(copy.deepcopy(self.data), self.revision, commit=self.commit, sealed=self.sealed)
        same.changes, same.envelope = list(self.changes), self.envelope
        return same

    def unchanged(self) -> Vcon:
        """The same document in hand, without the changes: a commit of it leaves the stored one as it is."""
        return Vcon(self.data, self.revision, commit=self.commit, sealed=self.sealed)

    def apply(self, change: Change) -> None:
        """Make one change to ``data`` and remember it. Raises :class:`Sealed`."""
        match change:
            case Put(member, index, _) if self.sealed is not None and (
                index is None or index < self.sealed.get(member, 0)
            ):
                place = member if index is None else f"{member}/{index}"
                raise Sealed(
                    f"/{place} of vCon {self.uuid} was signed and cannot be replaced; "
                    "make an amended copy and change that"
                )
            case Append(array, value):
                if self.data.get(array) is None:  # null counts as absent (gate 2), in commit.lua too
                    self.data[array] = []
                self.data[array].append(value)
            case Put(member, None, value):
                self.data[member] = value
            case Put(member, index, value):
                self.data[member][index] = value
        self.changes.append(change)

    def append(self, array: ArrayName, value: dict[str, Any]) -> int:
        """Append an element and give its index (valid until the document is committed)."""
        self.apply(Append(array, value))
        return len(self.data[array]) - 1

    def put(self, member: str, value: Any, index: int | None = None) -> None:
        """Replace a top-level member, or the element at ``index`` of an array."""
        self.apply(Put(member, index, value))

    def attachments_for(self, purpose: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Attachments of one purpose with their indexes (``type`` is the member's name before 0.4.0)."""
        for index, attachment in enumerate(self.attachments):
            if attachment.get("purpose", attachment.get("type")) == purpose:
                yield index, attachment

    def to_bytes(self) -> bytes:
        """The document as compact JSON."""
        return orjson.dumps(self.data)

    def to_frame(self) -> pd.DataFrame:
        """The conversation's turns as a pandas DataFrame; see :func:`~vcon_platform.vcon.frames.turns_frame`."""
        from vcon_platform.vcon.frames import turns_frame

        return turns_frame(self)

"""The door: a document's bytes come in, and are answered when they are safe.

The order is what makes the answer true: read through the gates (``vcon/``), long bodies into the media store, original
bytes and view into the archive, then one script that makes document, search inputs, queue entries and ledger event
appear in Redis at once. Whatever dies in between leaves bytes that nobody refers to, never half a vCon.

Belongs here: that order, and what a second document of a known uuid means. Not here: rules about documents
(``vcon/gates.py``), writing (``store/documents.py``), HTTP (``api/``). An outside url is never fetched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from vcon_platform.ingress.answer import (
    ALWAYS,
    THERE,
    UUID_TAKEN,
    Answer,
    Condition,
    Offered,
    Outcome,
    Source,
    changed,
)
from vcon_platform.ingress.beside import Beside
from vcon_platform.ingress.media import keep_bodies
from vcon_platform.ingress.prepared import Prepared, meta_of, refuse_strictly, state_of
from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Created, Posted
from vcon_platform.store.creating import Creating
from vcon_platform.store.documents import CHUNK, DocumentStore, Missing, RevisionConflict
from vcon_platform.store.jobs import new_job
from vcon_platform.store.media import MediaStore
from vcon_platform.store.records import Original
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.merge import carried_over
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, receive
from vcon_platform.vcon.tags import tags

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

TRIES = 20
"""Of a new revision while others write to the same vCon."""


@dataclass(frozen=True, slots=True)
class Doorway:
    """What this installation lets in. ``critical``: the extensions it understands."""

    limits: Limits = field(default_factory=Limits)
    trust: Trust | None = None
    keys: DecryptionKeys | None = None
    critical: frozenset[str] = frozenset()
    spool_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A hundred documents of which those that passed are on their way into the store."""

    prepared: Sequence[Prepared | Rejected]
    creating: Creating


class Door:
    """Takes documents in. ``inline_max``: bodies above so many bytes go to the media store."""

    def __init__(self, documents: DocumentStore, media: MediaStore, doorway: Doorway | None = None) -> None:
        self._documents = documents
        self._media = media
        self._doorway = doorway or Doorway()
        self._latest_policy: Policy | None = None

    def take(
        self,
        content: bytes | IO[bytes],
        source: Source,
        *,
        media_type: str | None = None,
        beside: Beside | None = None,
        condition: Condition = ALWAYS,
    ) -> Answer:
        """Take one document in. When this returns it is archived and stored, whatever dies next. A stream is read in
        pieces: memory does not depend on the recording's size. ``beside``: what came with it in a bundle. Raises
        :class:`Rejected` (nothing is stored; the same bytes are refused again), or PlatformError when Redis or the
        object store is away (try again later)."""
        [answer] = self.take_offered([Offered(content, source, media_type, beside, condition)])
        if isinstance(answer, Rejected):
            raise answer
        return answer

    def take_many(self, contents: Iterable[bytes | IO[bytes]], source: Source) -> Iterator[Answer | Rejected]:
        """Take many documents of one source in: :meth:`take_offered`."""
        return self.take_offered(Offered(content, source) for content in contents)

    def take_offered(self, offered: Iterable[Offered]) -> Iterator[Answer | Rejected]:
        """Take many documents in, a hundred at a time; answers in their order, those to one hundred when the next has
        been read. One that is refused harms no other."""
        created = EventForm(EventKind.CREATED)
        under_way: _UnderWay | None = None
        try:
            for chunk in batched(offered, CHUNK):  # the next hundred are read while Redis works on these
                now = datetime.now(UTC)
                prepared = [self._prepared_or_refused(each, now) for each in chunk]
                if under_way is not None:
                    yield from self._answers(under_way)
                new = [each.new(created) for each in prepared if isinstance(each, Prepared) and each.may_be_new]
                under_way = _UnderWay(prepared, self._documents.begin(new))
            if under_way is not None:
                yield from self._answers(under_way)
        finally:
            if under_way is not None:
                under_way.creating.close()

    def _answers(self, under_way: _UnderWay) -> Iterator[Answer | Rejected]:
        outcomes = under_way.creating.outcomes()
        for each in under_way.prepared:
            if isinstance(each, Rejected):
                yield each
            elif each.may_be_new and next(outcomes)[1] is Created.CREATED:
                yield each.answer(Outcome.CREATED, under_way.creating.after.get(each.received.uuid, 0) + 1)
            else:
                yield self._again_or_refused(each)
        next(outcomes, None)

    def _again_or_refused(self, prepared: Prepared) -> Answer | Rejected:
        try:
            return self._again(prepared)
        except Rejected as rejected:
            return rejected

    def _made(self, prepared: Prepared) -> Answer | None:
        """One that was removed while it came in, as a new one; None where it is there after all."""
        with self._documents.begin([prepared.new(EventForm(EventKind.CREATED))]) as creating:
            [(uuid, outcome)] = creating.outcomes()
            if outcome is not Created.CREATED:
                return None
            return prepared.answer(Outcome.CREATED, creating.after.get(uuid, 0) + 1)

    def judge(self, data: dict[str, Any], source: Source) -> dict[str, str]:
        """Lead a document that an adapter built through the gates, before its recordings are attached; gives what is
        to be kept beside it. Raises :class:`Rejected`."""
        received = receive(data, self._policy(source, datetime.now(UTC)))
        if source.strict:
            refuse_strictly(received, received.findings)
        meta = meta_of(received, source, received.findings, state_of(received))
        return {name: value for name, value in meta.items() if value}

    # --- through the gates --------------------------------------------------------------------------------------

    def _prepared_or_refused(self, offered: Offered, now: datetime) -> Prepared | Rejected:
        try:
            with self._open(offered.content, offered.media_type) as opened:
                return self._prepared(opened, offered, now)
        except Rejected as rejected:
            return rejected

    def _policy(self, source: Source, now: datetime) -> Policy:
        latest, doorway = self._latest_policy, self._doorway
        if (
            latest is not None  # of a hundred documents that come together nearly all are of one kind of source
            and latest.received_at is now
            and latest.zone is source.zone
            and latest.strict == source.strict
            and latest.require_signature == source.require_signature
        ):
            return latest
        self._latest_policy = policy = Policy(
            received_at=now,
            zone=source.zone,
            critical=doorway.critical,
            strict=source.strict,
            require_signature=source.require_signature,
            trust=doorway.trust,
            keys=doorway.keys,
            limits=doorway.limits,
            open=self._open,
            may_refer=self._documents.refers,
        )
        return policy

    def _open(self, content: bytes | IO[bytes], media_type: str | None = None) -> Opened:
        return open_document(
            content,  # type: ignore[arg-type]  # IO[bytes] has all that is asked of a BinaryIO
            media_type=media_type,
            limits=self._doorway.limits,
            hoist_over=self._media.inline_max,
            spool_dir=self._doorway.spool_dir,
        )

    def _prepared(self, opened: Opened, offered: Offered, now: datetime) -> Prepared:
        source = offered.source
        with receive(opened.value, self._policy(source, now), skeleton=opened.skeleton) as received:
            findings = (*opened.findings, *received.findings)
            if offered.beside is not None:
                offered.beside.join(received)
            if opened.bodies or received.nested:
                keep_bodies(received.data, self._media)
            if source.strict:
                refuse_strictly(received, findings)
        if opened.gzipped:  # nobody can make these bytes again from parts
            raw = opened.raw
            apart = self._media.keep_chunks(_pieces(raw) if isinstance(raw, Path) else [raw or b""])
            original = Original(opened.sha256, opened.size, apart=apart)
        else:
            for body in opened.bodies:  # also those that are no body of the view, such as a signed payload
                self._media.keep_hoisted(body)
            splices = tuple(tuple(splice.as_list()) for splice in opened.splices)
            original = Original(opened.sha256, opened.size, opened.skeleton, splices)
        view = orjson.dumps(received.data)
        state = state_of(received)
        return Prepared(
            received=received,
            source=source,
            posted=Posted(view=view, original=original),
            meta=meta_of(received, source, findings, state),
            state=state,
            findings=findings,
            condition=offered.condition,
        )

    # --- into the store -----------------------------------------------------------------------------------------

    def _again(self, prepared: Prepared) -> Answer:
        """A document of a known uuid: the same bytes as ever, or a new revision that keeps what was added."""
        uuid, sha256 = prepared.received.uuid, prepared.posted.original.sha256
        wanted = prepared.condition.revision
        for _ in range(TRIES):
            try:
                current, meta = self._documents.read_one(uuid), self._documents.meta(uuid)
            except Missing:
                if not prepared.may_be_new:
                    raise Rejected(changed(0)) from None
                if (made := self._made(prepared)) is not None:
                    return made
                continue
            revision = meta.get(f"posted:{sha256}")
            if prepared.condition.new and revision != meta.get("begun", "1") and _sees(prepared.source, current, meta):
                raise Rejected(THERE)
            if revision is not None and wanted in (None, int(revision) - 1):
                return prepared.answer(Outcome.KNOWN, int(revision))
            if not _sees(prepared.source, current, meta):
                raise Rejected(UUID_TAKEN)
            if wanted is not None and wanted != current.revision:
                raise Rejected(changed(current.revision))
            signer, before = prepared.received.signer, meta.get("signer")
            if before and signer != before:
                raise Rejected(
                    Fault(
                        "other_signer",
                        "/uuid",
                        "this uuid is known under another signer; a new version must be signed by the same one",
                        409,
                    )
                )
            theirs = orjson.loads(prepared.posted.view)
            # Without a revision it was put into Redis by other software; all of it counts as theirs then.
            last = self._documents.history(uuid).posted() if current.revision else None
            posted = orjson.loads(last.view) if last is not None and last.view is not None else current.data
            changes, left = carried_over(posted, current.data, theirs)
            vcon = Vcon(theirs, current.revision, changes, commit=current.commit)
            event = prepared.event(
                EventForm(EventKind.REVISED),
                revision=current.revision + 1,
                queues=prepared.queues,
                left_behind=left,
            )
            commit = Commit(
                vcon,
                pushes=[(keys.queue(queue), new_job(uuid).to_bytes()) for queue in prepared.queues],
                events=[event],
                meta={**prepared.meta, f"posted:{sha256}": str(current.revision + 1)},
                posted=prepared.posted,
            )
            [(_, outcome)] = self._documents.commit([commit])
            if outcome is Committed.OK:
                return replace(prepared.answer(Outcome.REVISED, current.revision + 1), left_behind=left)
        raise RevisionConflict(f"vCon {uuid} is being changed by others without a break; bring it again later")


def _sees(source: Source, current: Vcon, meta: Mapping[str, str]) -> bool:
    """What somebody does not see they cannot revise. The same bytes again tell them nothing that they did not bring."""
    return source.sees is None or source.sees(meta.get("adapter"), [f"{name}:{value}" for name, value in tags(current)])


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece

"""The door: a document's bytes come in, and are answered when they are safe.

The order is what makes the answer true: read through the gates (``vcon/``), long bodies into the media store, original
bytes and view into the archive, then one script that makes document, search inputs, queue entries and ledger event
appear in Redis at once. Whatever dies in between leaves bytes that nobody refers to, never half a vCon.

Belongs here: that order, and what a second document of a known uuid means. Not here: rules about documents
(``vcon/gates.py``), writing (``store/documents.py``), HTTP (``api/``). An outside url is never fetched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from vcon_platform.ingress.answer import Answer, Outcome, Source
from vcon_platform.ingress.beside import Beside
from vcon_platform.ingress.media import keep_bodies
from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Created, NewVcon, Posted, created_seconds
from vcon_platform.store.creating import Creating
from vcon_platform.store.documents import CHUNK, DocumentStore, RevisionConflict
from vcon_platform.store.jobs import new_job
from vcon_platform.store.media import MediaStore
from vcon_platform.store.records import Original
from vcon_platform.vcon.conformance import report_of, strict_faults
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.faults import Fault, Finding, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.merge import carried_over
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, Received, receive

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

TRIES = 20
"""Of a new revision while others write to the same vCon."""
KEPT_FINDINGS = 100
"""Findings kept beside a document; their number is kept in any case."""


@dataclass(frozen=True, slots=True)
class Doorway:
    """What this installation lets in. ``critical``: the extensions it understands."""

    limits: Limits = field(default_factory=Limits)
    trust: Trust | None = None
    keys: DecryptionKeys | None = None
    critical: frozenset[str] = frozenset()
    spool_dir: Path | None = None


@dataclass(slots=True)
class _Prepared:
    """A document that passed the gates and whose bodies are kept."""

    received: Received
    posted: Posted
    meta: dict[str, str]
    state: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A hundred documents of which those that passed are on their way into the store."""

    prepared: Sequence[_Prepared | Rejected]
    creating: Creating


class Door:
    """Takes documents in. ``inline_max``: bodies above so many bytes go to the media store."""

    def __init__(self, documents: DocumentStore, media: MediaStore, doorway: Doorway | None = None) -> None:
        self._documents = documents
        self._media = media
        self._doorway = doorway or Doorway()

    def take(
        self,
        content: bytes | IO[bytes],
        source: Source,
        *,
        media_type: str | None = None,
        beside: Beside | None = None,
    ) -> Answer:
        """Take one document in. When this returns it is archived and stored, whatever dies next. A stream is read in
        pieces: memory does not depend on the recording's size. ``beside``: what came with it in a bundle. Raises
        :class:`Rejected` (nothing is stored; the same bytes are refused again), or PlatformError when Redis or the
        object store is away (try again later)."""
        [answer] = self.take_many([content], source, media_type=media_type, beside=beside)
        if isinstance(answer, Rejected):
            raise answer
        return answer

    def take_many(
        self,
        contents: Iterable[bytes | IO[bytes]],
        source: Source,
        *,
        media_type: str | None = None,
        beside: Beside | None = None,
    ) -> Iterator[Answer | Rejected]:
        """Take many documents in, a hundred at a time; answers in their order, those to one hundred when the next has
        been read. One that is refused harms no other."""
        created = EventForm(EventKind.CREATED)
        under_way: _UnderWay | None = None
        try:
            for chunk in batched(contents, CHUNK):  # the next hundred are read while Redis works on these
                policy = self._policy(source)
                prepared = [self._prepared_or_refused(each, source, policy, media_type, beside) for each in chunk]
                if under_way is not None:
                    yield from self._answers(under_way, source)
                new = [self._new(each, source, created) for each in prepared if isinstance(each, _Prepared)]
                under_way = _UnderWay(prepared, self._documents.begin(new))
            if under_way is not None:
                yield from self._answers(under_way, source)
        finally:
            if under_way is not None:
                under_way.creating.close()

    def _answers(self, under_way: _UnderWay, source: Source) -> Iterator[Answer | Rejected]:
        outcomes = under_way.creating.outcomes()
        for each in under_way.prepared:
            if isinstance(each, Rejected):
                yield each
            elif next(outcomes)[1] is Created.CREATED:
                yield self._answer(each, Outcome.CREATED, 1)
            else:
                yield self._again_or_refused(each, source)
        next(outcomes, None)

    def _again_or_refused(self, prepared: _Prepared, source: Source) -> Answer | Rejected:
        try:
            return self._again(prepared, source)
        except Rejected as rejected:
            return rejected

    def judge(self, data: dict[str, Any], source: Source) -> dict[str, str]:
        """Lead a document that an adapter built through the gates, before its recordings are attached; gives what is
        to be kept beside it. Raises :class:`Rejected`."""
        received = receive(data, self._policy(source))
        if source.strict:
            _refuse(received, received.findings)
        meta = _meta(received, source, received.findings, _state(received))
        return {name: value for name, value in meta.items() if value}

    # --- through the gates --------------------------------------------------------------------------------------

    def _prepared_or_refused(
        self,
        content: bytes | IO[bytes],
        source: Source,
        policy: Policy,
        media_type: str | None,
        beside: Beside | None,
    ) -> _Prepared | Rejected:
        try:
            with self._open(content, media_type) as opened:
                return self._prepared(opened, source, policy, beside)
        except Rejected as rejected:
            return rejected

    def _policy(self, source: Source) -> Policy:
        doorway = self._doorway
        return Policy(
            received_at=datetime.now(UTC),
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

    def _open(self, content: bytes | IO[bytes], media_type: str | None = None) -> Opened:
        return open_document(
            content,  # type: ignore[arg-type]  # IO[bytes] has all that is asked of a BinaryIO
            media_type=media_type,
            limits=self._doorway.limits,
            hoist_over=self._media.inline_max,
            spool_dir=self._doorway.spool_dir,
        )

    def _prepared(self, opened: Opened, source: Source, policy: Policy, beside: Beside | None) -> _Prepared:
        with receive(opened.value, policy, skeleton=opened.skeleton) as received:
            findings = (*opened.findings, *received.findings)
            if beside is not None:
                beside.join(received)
            keep_bodies(received.data, self._media)
            if source.strict:
                _refuse(received, findings)
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
        state = _state(received)
        return _Prepared(
            received=received,
            posted=Posted(view=view, original=original),
            meta=_meta(received, source, findings, state),
            state=state,
            findings=findings,
        )

    # --- into the store -----------------------------------------------------------------------------------------

    def _new(self, prepared: _Prepared, source: Source, created: EventForm) -> NewVcon:
        received, queues = prepared.received, _queues(prepared, source)
        event = _event(created, prepared, source, revision=1, queues=queues)
        return NewVcon(
            vcon=Vcon(received.data, sealed=_sealed(received)),
            queues=queues,
            events=[event],
            meta={name: value for name, value in prepared.meta.items() if value},
            posted=prepared.posted,
        )

    def _again(self, prepared: _Prepared, source: Source) -> Answer:
        """A document of a known uuid: the same bytes as ever, or a new revision that keeps what was added."""
        uuid, sha256 = prepared.received.uuid, prepared.posted.original.sha256
        for _ in range(TRIES):
            current, meta = self._documents.read_one(uuid), self._documents.meta(uuid)
            if (revision := meta.get(f"posted:{sha256}")) is not None:
                return self._answer(prepared, Outcome.KNOWN, int(revision))
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
            queues = _queues(prepared, source)
            event = _event(
                EventForm(EventKind.REVISED),
                prepared,
                source,
                revision=current.revision + 1,
                queues=queues,
                left_behind=left,
            )
            commit = Commit(
                vcon,
                pushes=[(keys.queue(queue), new_job(uuid).to_bytes()) for queue in queues],
                events=[event],
                meta={**prepared.meta, f"posted:{sha256}": str(current.revision + 1)},
                posted=prepared.posted,
            )
            [(_, outcome)] = self._documents.commit([commit])
            if outcome is Committed.OK:
                return replace(self._answer(prepared, Outcome.REVISED, current.revision + 1), left_behind=left)
        raise RevisionConflict(f"vCon {uuid} is being changed by others without a break; bring it again later")

    @staticmethod
    def _answer(prepared: _Prepared, outcome: Outcome, revision: int) -> Answer:
        received = prepared.received
        return Answer(
            uuid=received.uuid,
            outcome=outcome,
            revision=revision,
            form=str(received.form),
            state=prepared.state,
            findings=prepared.findings,
            parked=received.parked,
        )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece


def _state(received: Received) -> str:
    return "parked" if received.parked else "opaque" if received.opaque else "ready"


def _refuse(received: Received, findings: Sequence[Finding]) -> None:
    """What a strict source refuses: whatever the conformance report holds against the document."""
    received.findings = list(findings)
    if faults := strict_faults(report_of(received)):
        raise Rejected(*faults)


def _queues(prepared: _Prepared, source: Source) -> tuple[str, ...]:
    """A parked vCon must not be processed (draft -03 section 4.1.5, critical): it enters no queue."""
    return () if prepared.state == "parked" else source.queues


def _sealed(received: Received) -> dict[str, int] | None:
    if received.signature is None:  # an encrypted vCon that was opened holds a signed one
        return None
    return {array: len(received.data.get(array) or ()) for array in ARRAYS}


def _meta(received: Received, source: Source, findings: Sequence[Finding], state: str) -> dict[str, str]:
    """What is kept beside the document. What there is nothing to say of is empty: of an earlier revision with the same
    uuid, nothing must stay."""
    sealed = _sealed(received)
    told = [[each.code, each.pointer, each.message] for each in findings[:KEPT_FINDINGS]]
    day = datetime.fromtimestamp(created_seconds(received.data), UTC).date().isoformat()
    return {
        "adapter": source.name,
        "day": day,
        "form": str(received.form),
        "state": state,
        "source_version": received.source_version,
        "derived": ",".join(received.derived),
        "signature": str(received.signature) if received.signature else "",
        "signer": received.signer or "",
        "sealed": orjson.dumps(sealed).decode() if sealed else "",
        "parked": ",".join(received.parked),
        "findings": orjson.dumps(told).decode() if told else "",
        "findings_count": str(len(findings)) if findings else "",
        **source.meta,
    }


def _event(form: EventForm, prepared: _Prepared, source: Source, *, revision: int, **detail: Any) -> bytes:
    return form.event(
        prepared.received.uuid,
        revision,
        adapter=source.name,
        sha256=prepared.posted.original.sha256,
        form=str(prepared.received.form),
        findings=sorted({each.code for each in prepared.findings}),
        **{name: value for name, value in detail.items() if value},
    )

"""The ledger in Postgres: events go in once and stay.

Belongs here: storing and reading events. Not here: the table (``schema.py``), the way from Redis (``outbox.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from vcon_platform.ledger.errors import EventRefused, LedgerError, LedgerUnavailable
from vcon_platform.ledger.events import EventKind, LedgerEvent, read_event
from vcon_platform.ledger.outcome import Outcome, Verdict
from vcon_platform.ledger.schema import EVENTS, create, is_complete
from vcon_platform.ledger.usage import By, UsageSum, ensure_view, sums

_CHUNK = 5_000  # events per statement: large enough to be quick, small enough to be a modest message
_ENDS = (EventKind.DONE, EventKind.FILTERED, EventKind.FAILED, EventKind.WITHDRAWN)
_BEGINNINGS = (EventKind.QUEUED, EventKind.REDRIVEN, EventKind.RETRIED)
_VERDICTS: dict[str, Verdict] = {"done": "done", "filtered": "filtered", "failed": "failed"}
_OUTCOME = (
    EVENTS.c.vcon_uuid,
    EVENTS.c.event,
    EVENTS.c.pipeline,
    EVENTS.c.pipeline_version,
    EVENTS.c.processor,
    EVENTS.c.detail["reason"].astext,
    EVENTS.c.detail["code"].astext,
)
_COLUMNS = [column for column in EVENTS.columns if column.name != "id"]
_NAMES = ", ".join(column.name for column in _COLUMNS)
# One parameter, whatever the number of events. Sorted by place: rows are locked in the order of the outbox, so two
# shippers with overlapping entries wait for each other instead of running into a deadlock.
_APPEND = f"""
INSERT INTO ledger.events ({_NAMES})
SELECT {_NAMES} FROM ROWS FROM (
  json_to_recordset(%(events)s::json) AS ({", ".join(f"{column.name} {column.type.compile()}" for column in _COLUMNS)})
) WITH ORDINALITY AS e ({_NAMES}, place)
ORDER BY place ON CONFLICT (event_id) DO NOTHING
"""  # noqa: S608 - made of this module's own column names


class Ledger:
    """Give it an engine, or a URL to make one of. Connects at the first call. Thread-safe."""

    def __init__(self, engine: Engine | str) -> None:
        self._engine = engine if isinstance(engine, Engine) else create_engine(engine, pool_pre_ping=True)
        self._ensured = False

    def ensure(self) -> None:
        """Create schema ``ledger`` and its table unless they are there; any number of processes may do so at once.
        The other methods call this by themselves."""
        if not self._ensured:
            with self._transaction() as connection:
                if not is_complete(connection):
                    create(connection)
                ensure_view(connection)
            self._ensured = True

    def append(self, events: Sequence[LedgerEvent | bytes]) -> int:
        """Store these events in this order and say how many were new: an ``event_id`` that is there already is left
        alone. All or nothing. Raises :class:`EventRefused` if one can never be stored, and
        :class:`LedgerUnavailable`."""
        return self.append_read([read_event(_as_bytes(event)) for event in events])

    def append_read(self, rows: Sequence[LedgerEvent]) -> int:
        """:meth:`append` for events as :func:`~vcon_platform.ledger.events.read_event` gave them: they are sure to be
        sound, and looking at each twice takes as long as storing it."""
        if not rows:
            return 0
        self.ensure()
        with self._transaction() as connection:
            return sum(
                connection.exec_driver_sql(_APPEND, {"events": orjson.dumps(rows[at : at + _CHUNK]).decode()}).rowcount
                for at in range(0, len(rows), _CHUNK)
            )

    def events_of(self, vcon_uuid: str) -> list[LedgerEvent]:
        """Everything that happened to this vCon, oldest first; empty if the ledger does not know it, or if this is
        no uuid."""
        try:
            uuid = str(UUID(vcon_uuid))
        except ValueError:
            return []
        self.ensure()
        with self._transaction() as connection:
            rows = connection.execute(select(*_COLUMNS).where(EVENTS.c.vcon_uuid == uuid).order_by(EVENTS.c.id))
            return [_event(row._asdict()) for row in rows]

    def counts(self, *, pipeline: str | None = None, run_id: str | None = None) -> dict[EventKind, int]:
        """How many events of each kind there are, of all or of one pipeline or run."""
        self.ensure()
        query = select(EVENTS.c.event, func.count()).group_by(EVENTS.c.event)
        if pipeline is not None:
            query = query.where(EVENTS.c.pipeline == pipeline)
        if run_id is not None:
            query = query.where(EVENTS.c.run_id == run_id)
        with self._transaction() as connection:
            return {EventKind(kind): count for kind, count in connection.execute(query)}

    def ways(self, vcon_uuids: Sequence[str]) -> dict[tuple[str, str], bool]:
        """How far these vCons came: (uuid, queue) to whether the last that is known is an end (done, filtered, failed,
        withdrawn) or a beginning (queued, redriven, retried). What it was created for is not in it."""
        self.ensure()
        found: dict[tuple[str, str], bool] = {}
        queue = func.coalesce(EVENTS.c.detail["queue"].astext, EVENTS.c.pipeline)
        with self._transaction() as connection:
            for at in range(0, len(vcon_uuids), _CHUNK):
                query = (
                    select(EVENTS.c.vcon_uuid, queue, EVENTS.c.event)
                    .where(EVENTS.c.vcon_uuid.in_(list(vcon_uuids[at : at + _CHUNK])))
                    .where(EVENTS.c.event.in_([*_ENDS, *_BEGINNINGS]))
                    .order_by(EVENTS.c.id)
                )
                found.update(((uuid, name), event in _ENDS) for uuid, name, event in connection.execute(query) if name)
        return found

    def results_of(self, pipeline: str, vcon_uuids: Sequence[str]) -> dict[str, str]:
        """uuid to the version of the pipeline by which its latest result there (done, or filtered) was made; those
        that have none are left out."""
        self.ensure()
        found: dict[str, str] = {}
        with self._transaction() as connection:
            for at in range(0, len(vcon_uuids), _CHUNK):
                query = (
                    select(EVENTS.c.vcon_uuid, EVENTS.c.pipeline_version)
                    .where(EVENTS.c.vcon_uuid.in_(list(vcon_uuids[at : at + _CHUNK])))
                    .where(EVENTS.c.pipeline == pipeline)
                    .where(EVENTS.c.event.in_([EventKind.DONE, EventKind.FILTERED]))
                    .distinct(EVENTS.c.vcon_uuid)
                    .order_by(EVENTS.c.vcon_uuid, EVENTS.c.id.desc())
                )
                found.update((str(uuid), version or "") for uuid, version in connection.execute(query))
        return found

    def outcomes_of(self, pipelines: Sequence[str], vcon_uuids: Sequence[str]) -> dict[str, Outcome]:
        """uuid to how its way through these pipelines ended last (done, filtered, failed), whichever of them it was;
        those that have not ended in any are left out."""
        self.ensure()
        found: dict[str, Outcome] = {}
        with self._transaction() as connection:
            for at in range(0, len(vcon_uuids), _CHUNK):
                query = (
                    select(*_OUTCOME)
                    .where(EVENTS.c.vcon_uuid.in_(list(vcon_uuids[at : at + _CHUNK])))
                    .where(EVENTS.c.pipeline.in_(list(pipelines)))
                    .where(EVENTS.c.event.in_(list(_VERDICTS)))
                    .distinct(EVENTS.c.vcon_uuid)
                    .order_by(EVENTS.c.vcon_uuid, EVENTS.c.id.desc())
                )
                for uuid, event, pipeline, version, processor, reason, code in connection.execute(query):
                    verdict = _VERDICTS[event]
                    by = None if verdict == "done" else processor
                    if verdict == "filtered" and code:  # by the pipeline's rules of consent, before that processor
                        by = str(EventKind.CONSENT)
                    found[str(uuid)] = Outcome(pipeline, version or "", verdict, reason or "", by)
        return found

    def usage(self, by: By, *, since: datetime | None = None, until: datetime | None = None) -> list[UsageSum]:
        """What was used of services from ``since`` on and before ``until``, summed up."""
        self.ensure()
        with self._transaction() as connection:
            return sums(connection, by, since, until)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One transaction; the database's errors become this room's, without the values they quote."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None) or ""
            if code[:2] in ("22", "23", "54"):  # data, integrity, a limit of the program
                raise EventRefused(f"Postgres cannot hold an event (SQLSTATE {code})") from None
            if not code or code[:2] in ("08", "40", "53", "55", "57"):
                raise LedgerUnavailable(
                    "the ledger's Postgres cannot be reached or is too busy; events wait in Redis. Is it running "
                    "('vcon-platform status'), and is POSTGRES_URL right?"
                ) from None
            raise LedgerError(
                f"Postgres refuses to keep the ledger (SQLSTATE {code}); the role in POSTGRES_URL must be allowed to "
                "create schema 'ledger' and the table in it, or to read and insert there"
            ) from None


def _as_bytes(event: LedgerEvent | bytes) -> bytes:
    try:
        return event if isinstance(event, bytes) else event.to_bytes()
    except (TypeError, ValueError):
        raise EventRefused("an event is not JSON") from None


def _event(row: dict[str, Any]) -> LedgerEvent:
    return LedgerEvent(**row | {"event": EventKind(row["event"]), "at": row["at"].astimezone(UTC).isoformat()})

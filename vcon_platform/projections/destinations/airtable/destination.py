"""Airtable as a destination: one record per row.

Belongs here: the options, getting records in and out. Not here: the table's fields (``table.py``), calling a service
(``../calling.py``).

Airtable takes five calls a second and ten records a call, so only what differs is sent, and what is there is asked by
the fields that say it. A record that is known is changed by its id; a new one is merged by ``_row``, so a call whose
answer was lost makes no second record. A call is all or nothing: one that is refused is halved until the record is
found that cannot be taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from vcon_platform.projections.destination import (
    Connections,
    Destination,
    Rejected,
    Session,
    Step,
    Written,
    whole,
)
from vcon_platform.projections.destinations.airtable import table
from vcon_platform.projections.destinations.airtable.options import URL, AirtableOptions
from vcon_platform.projections.destinations.airtable.table import DAY, HASH, ROW
from vcon_platform.projections.destinations.calling import Service, address_of, needed
from vcon_platform.projections.destinations.row_ids import row_ids
from vcon_platform.projections.errors import DestinationError, ProjectionInvalid, SchemaConflict
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.store.outgoing import chosen_address

TITLE = "Airtable"
PER_SECOND = 5
AT_ONCE = 10
"""Records of one call."""
PAGE = 100
UUIDS = 100
"""Conversations in one question: a formula has at most 100,000 characters."""
_FIELD = re.compile(r"[Ff]ield \"([a-z0-9_]{1,63})\"")


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is there: its own id, the row's, and whose it is."""

    id: str
    row: str
    uuid: str
    day: str
    hash: str


class AirtableDestination(Destination):
    """Rows as records of an Airtable table."""

    kind: ClassVar[str] = "airtable"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = AirtableOptions

    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._headers = {"Authorization": f"Bearer {token}"}
        self._known: set[str] = set()
        """Tables that are there: asking again costs a call."""

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        for place, column in enumerate(projection.columns):
            if column.name == ROW:
                raise ProjectionInvalid(
                    f"projection {projection.name}", [f"/columns/{place}/name {ROW!r} is kept for the row's id"]
                )

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - by its options only
        options = _options(projection)
        if options.url == URL:
            address = chosen_address(URL, "the address")
        else:
            address = address_of(projection.name, TITLE, "url", options.url, secret=True)
        token = needed(projection.name, TITLE, "token", options.token)
        return cls(Service(TITLE, address, per_second=PER_SECOND), token)

    @classmethod
    def target(cls, projection: Projection) -> str:
        options = _options(projection)
        return f"{options.base}/{options.table or projection.name}"

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self._service.calls

    def ensure(self, projection: Projection) -> None:
        if self.target(projection) in self._known:
            return
        base = f"/v0/meta/bases/{_options(projection).base}/tables"
        found = self._table(projection)
        if found is None:
            made = {"name": _options(projection).table or projection.name, "fields": table.fields(projection)}
            if projection.description:
                made["description"] = projection.description[:20_000]
            self._json(projection, "POST", base, made)
        else:
            for field in table.missing(projection, self.target(projection), found):
                self._json(projection, "POST", f"{base}/{found['id']}/fields", field)
        self._known.add(self.target(projection))

    def plan(self, projection: Projection) -> list[Step]:
        found, target = self._table(projection), self.target(projection)
        if found is None:
            return [Step(f"a new table {target}")]
        try:
            lacking = table.missing(projection, target, found)
        except SchemaConflict as conflict:
            return [Step(f"another type in table {target}", refused=str(conflict))]
        return [Step(f"a new field {field['name']} ({field['type']}) in table {target}") for field in lacking]

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        return whole((each.uuid, each.hash) for each in self.records(projection, _any_of(DAY, days)))

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _AirtableSession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        there = list(self.look_up(projection, uuids))
        self.remove(projection, [each.id for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        counts: dict[str, int] = {}
        for each in self.records(projection, f"NOT({{{ROW}}}='')" if days is None else _any_of(DAY, days)):
            counts[each.day] = counts.get(each.day, 0) + 1
        return counts

    def look_up(
        self, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None = None
    ) -> Iterator[Record]:
        """The records of these conversations (on these days)."""
        for at in range(0, len(uuids), UUIDS):
            where = _any_of(projection.uuid_column, uuids[at : at + UUIDS])
            yield from self.records(projection, where if days is None else f"AND({where},{_any_of(DAY, days)})")

    def records(self, projection: Projection, where: str) -> Iterator[Record]:
        """The platform's own records that this formula finds; none where there is no table."""
        uuid = projection.uuid_column
        if self.target(projection) not in self._known and self._table(projection) is None:
            return
        body: dict[str, Any] = {"filterByFormula": where, "fields": [ROW, uuid, DAY, HASH], "pageSize": PAGE}
        while True:
            answer = self._json(projection, "POST", f"{self._path(projection)}/listRecords", body)
            for record in answer["records"]:
                values = record["fields"]
                if values.get(ROW):
                    told = (str(values.get(name, "")) for name in (ROW, uuid, DAY, HASH))
                    yield Record(record["id"], *told)
            if not answer.get("offset"):
                return
            body["offset"] = answer["offset"]

    def remove(self, projection: Projection, ids: Sequence[str]) -> None:
        """Delete these records; ones that are gone already are no fault."""
        for at in range(0, len(ids), AT_ONCE):
            self._remove(projection, ids[at : at + AT_ONCE])

    def _remove(self, projection: Projection, ids: Sequence[str]) -> None:
        query = "&".join(f"records%5B%5D={each}" for each in ids)
        path = f"{self._path(projection)}?{query}"
        answer = self._service.call(projection.name, "DELETE", path, headers=self._headers, fine=_ABOUT_RECORDS)
        if answer.fine or (len(ids) == 1 and _fault(answer.body) in _GONE):
            return
        if len(ids) == 1:
            raise DestinationError(
                f"projection {projection.name}: {TITLE} does not delete a record of {self.target(projection)}: "
                f"{_fault(answer.body)}"
            )
        for each in ids:
            self._remove(projection, [each])

    def put(self, projection: Projection, records: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str | None]]:
        """Change or make these records, and say which were refused: by row what kind of fault, and the field."""
        refused: dict[str, tuple[str, str | None]] = {}
        for at in range(0, len(records), AT_ONCE):
            self._put(projection, records[at : at + AT_ONCE], refused)
        return refused

    def _put(
        self, projection: Projection, records: Sequence[dict[str, Any]], refused: dict[str, tuple[str, str | None]]
    ) -> None:
        body = {"performUpsert": {"fieldsToMergeOn": [ROW]}, "records": list(records)}
        answer = self._service.call(
            projection.name,
            "PATCH",
            self._path(projection),
            content=orjson.dumps(body),
            headers={**self._headers, "Content-Type": "application/json"},
            fine=_ABOUT_RECORDS,
        )
        if answer.fine:
            return
        if len(records) == 1:
            fault = _fault(answer.body)
            if fault in _ABOUT_TABLE:
                raise DestinationError(
                    f"projection {projection.name}: {TITLE} refuses records of {self.target(projection)}: {fault}; "
                    "look at the table's fields and at what the token may do"
                )
            field = _FIELD.search(answer.body.decode(errors="replace").replace("\\", ""))
            refused[records[0]["fields"][ROW]] = (fault, field[1] if field else None)
            return
        middle = len(records) // 2
        self._put(projection, records[:middle], refused)
        self._put(projection, records[middle:], refused)

    def _table(self, projection: Projection) -> dict[str, Any] | None:
        options = _options(projection)
        name = options.table or projection.name
        answer = self._json(projection, "GET", f"/v0/meta/bases/{options.base}/tables")
        return next((each for each in answer["tables"] if name in (each["name"], each["id"])), None)

    def _path(self, projection: Projection) -> str:
        options = _options(projection)
        return f"/v0/{options.base}/{quote(options.table or projection.name, safe='')}"

    def _json(self, projection: Projection, method: str, path: str, body: Any = None) -> Any:
        answer = self._service.json(projection.name, method, path, body, headers=self._headers)
        if not isinstance(answer, dict):
            raise DestinationError(f"projection {projection.name}: {TITLE} gave an answer that is none of its own")
        return answer


_ABOUT_RECORDS = frozenset({404, 422})
_GONE = frozenset({"NOT_FOUND", "MODEL_ID_NOT_FOUND", "ROW_DOES_NOT_EXIST", "INVALID_RECORDS"})
_ABOUT_TABLE = frozenset(
    {"NOT_FOUND", "TABLE_NOT_FOUND", "UNKNOWN_FIELD_NAME", "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"}
)


class _AirtableSession(Session):
    """Every call stands by itself."""

    def __init__(self, destination: AirtableDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination = destination
        self._projection = projection
        self._days = list(days)
        self._id_of = row_ids(projection)
        self._before = destination.calls

    @property
    def told(self) -> Mapping[str, float | str]:
        return {"calls": self._destination.calls - self._before}

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, table.cell)
        last = {each.uuid: each for each in sets}
        there: dict[str, dict[str, Record]] = {uuid: {} for uuid in last}
        gone: list[str] = []
        changed: dict[str, None] = {}
        for each in self._destination.look_up(self._projection, list(last)):
            if each.uuid not in there:
                continue
            if each.row in there[each.uuid]:  # somebody doubled a record
                gone.append(each.id)
                changed[each.uuid] = None
            else:
                there[each.uuid][each.row] = each
        wanted: dict[str, dict[str, FittedRow[Any]]] = {uuid: {} for uuid in last}
        for row in rows:
            wanted[row.uuid][self._id_of(row)] = row
        new: list[dict[str, Any]] = []
        for uuid, own in wanted.items():
            before = there[uuid]
            for name, row in own.items():
                if name not in before or before[name].hash != row.hash:
                    known = {"id": before[name].id} if name in before else {}
                    new.append({**known, "fields": self._fields(name, row)})
                    changed[uuid] = None
            for name, record in before.items():
                if name not in own:
                    gone.append(record.id)
                    changed[uuid] = None
        self._destination.remove(self._projection, gone)
        refused = self._destination.put(self._projection, new)
        stale = [there[name.partition("/")[0]].get(name) for name in refused]  # these are out of date
        self._destination.remove(self._projection, [each.id for each in stale if each is not None])
        rejected += [
            Rejected(name.partition("/")[0], field, f"refused by Airtable: {fault}")
            for name, (fault, field) in refused.items()
        ]
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        there = list(self._destination.look_up(self._projection, uuids, self._days))
        self._destination.remove(self._projection, [each.id for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def _fields(self, name: str, row: FittedRow[Any]) -> dict[str, Any]:
        values = dict(zip((column.name for column in self._projection.columns), row.values, strict=True))
        return {**values, ROW: name, DAY: row.day, HASH: row.hash}


def _options(projection: Projection) -> AirtableOptions:
    return AirtableOptions.model_validate(dict(projection.options_for(AirtableDestination.kind)))


def _any_of(field: str, values: Sequence[str]) -> str:
    """A formula: the field has one of these values."""
    return "OR(" + ",".join(f"{{{field}}}={_literal(value)}" for value in values) + ")" if values else "FALSE()"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fault(body: bytes) -> str:
    """The kind of fault that an answer tells: its text may quote a value."""
    try:
        told = orjson.loads(body)["error"]
        kind = told["type"] if isinstance(told, dict) else told
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "an answer without a reason"
    return str(kind) if re.fullmatch(r"[A-Z_]{1,80}", str(kind)) else "an answer without a reason"

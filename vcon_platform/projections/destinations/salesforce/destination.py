"""Salesforce as a destination: one record of an object per row, by its external id.

Belongs here: the options, rows as records. Not here: the API (``api.py``).

The object and its fields are made by who administers Salesforce: that is another API and another right. A deleted
record lies in the recycle bin for 15 days, which this API cannot empty, so an erasure takes the values out first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Self

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
from vcon_platform.projections.destinations.calling import Service, address_of, needed
from vcon_platform.projections.destinations.messages import json_value
from vcon_platform.projections.destinations.row_ids import row_ids
from vcon_platform.projections.destinations.salesforce.api import NO_OBJECT, TITLE, Refused, Salesforce
from vcon_platform.projections.destinations.salesforce.options import SalesforceOptions
from vcon_platform.projections.errors import ProjectionInvalid, SchemaConflict
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.projections.values import ColumnType, python_value

UUIDS = 200
"""Conversations in one question: an address has at most 16,384 bytes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is there: its own id, the row's, and whose it is."""

    id: str
    row: str
    uuid: str
    day: str
    hash: str


class SalesforceDestination(Destination):
    """Rows as records of a Salesforce object."""

    kind: ClassVar[str] = "salesforce"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = SalesforceOptions

    def __init__(self, api: Salesforce) -> None:
        self._api = api
        self._ready: set[str] = set()

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        options = _options(projection)
        place = [ref.kind for ref in projection.destinations].index(cls.kind)
        names = {column.name for column in projection.columns}
        found = [
            f"/destinations/{place}/salesforce/fields/{name} is no column of this projection"
            for name in options.fields
            if name not in names
        ]
        used = [options.row_field, options.day_field, options.hash_field, *map(options.field_of, sorted(names))]
        lowered = [name.lower() for name in used]
        found += [
            f"/destinations/{place}/salesforce/fields: {name} would hold two columns"
            for at, name in enumerate(used)
            if lowered.index(name.lower()) != at
        ]
        if found:
            raise ProjectionInvalid(f"projection {projection.name}", found)

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - by its options only
        options, name = _options(projection), projection.name
        address = address_of(name, TITLE, "url", options.url, secret=True)
        form = {
            "grant_type": "client_credentials",
            "client_id": needed(name, TITLE, "client_id", options.client_id),
            "client_secret": needed(name, TITLE, "client_secret", options.client_secret),
        }
        if options.refresh_token:
            given = needed(name, TITLE, "refresh_token", options.refresh_token)
            form |= {"grant_type": "refresh_token", "refresh_token": given}
        return cls(Salesforce(Service(TITLE, address, seconds=60), options.version, lambda: form))

    @classmethod
    def target(cls, projection: Projection) -> str:
        return _options(projection).object

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self._api.calls

    def ensure(self, projection: Projection) -> None:
        """Looks that the object and its fields are there. Raises SchemaConflict naming what is not."""
        target = self.target(projection)
        if target not in self._ready:
            conflict = self._conflict(projection)
            if conflict:
                raise SchemaConflict(conflict)
            self._ready.add(target)

    def plan(self, projection: Projection) -> list[Step]:
        conflict = self._conflict(projection)
        return [Step(f"fields of {self.target(projection)}", refused=conflict)] if conflict else []

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        options = _options(projection)
        where = f"{options.day_field} IN ({_days(days)})"
        return whole((each.uuid, each.hash) for each in self._records(projection, where))

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _SalesforceSession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        """Takes the values out, then deletes: a deleted record can be brought back for 15 days. A field that must not
        be empty keeps its value there until then."""
        there = list(self.look_up(projection, uuids))
        self._blank(projection, there)
        self.remove(projection, [each.id for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def _blank(self, projection: Projection, records: Sequence[Record]) -> None:
        """Take the values out of these records: all at once, and one by one where that is refused."""
        options = _options(projection)
        names = [options.field_of(column.name) for column in projection.columns]
        names.remove(options.field_of(projection.uuid_column))

        def empty(left: Sequence[Record], some: Sequence[str]) -> list[Record]:
            refused = self.put(projection, [{options.row_field: each.row, **dict.fromkeys(some)} for each in left])
            return [left[place] for place in refused]

        left = empty(records, names)
        for name in names if left else ():
            empty(left, [name])

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        options = _options(projection)
        where = f"{options.row_field} != null"
        if days is not None:
            where += f" AND {options.day_field} IN ({_days(days)})"
        found = self._query(
            projection,
            f"SELECT {options.day_field} day, COUNT(Id) number FROM {options.object} WHERE {where} "  # noqa: S608 - names
            f"GROUP BY {options.day_field}",  # of the allow-list, and literals
        )
        return {str(each["day"]): int(each["number"]) for each in found}

    def look_up(
        self, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None = None
    ) -> Iterator[Record]:
        """The records of these conversations (on these days)."""
        options = _options(projection)
        for at in range(0, len(uuids), UUIDS):
            wanted = ",".join(map(_literal, uuids[at : at + UUIDS]))
            where = f"{options.field_of(projection.uuid_column)} IN ({wanted})"
            yield from self._records(
                projection, where if days is None else f"{where} AND {options.day_field} IN ({_days(days)})"
            )

    def put(self, projection: Projection, records: Sequence[Mapping[str, Any]]) -> dict[int, tuple[str, str]]:
        """Change or make these records, and say by place which were refused: why, and the field."""
        options = _options(projection)
        faults = self._api.upsert(projection.name, options.object, options.row_field, records) if records else {}
        return {place: (fault.code, fault.field) for place, fault in faults.items()}

    def remove(self, projection: Projection, ids: Sequence[str]) -> None:
        """Delete these records."""
        if ids:
            self._api.delete(projection.name, ids)

    def _records(self, projection: Projection, where: str) -> Iterator[Record]:
        options = _options(projection)
        uuid = options.field_of(projection.uuid_column)
        names = (options.row_field, uuid, options.day_field, options.hash_field)
        text = (
            f"SELECT Id,{','.join(names)} FROM {options.object} "  # noqa: S608 - names of the allow-list, and literals
            f"WHERE {options.row_field} != null AND {where}"
        )
        for each in self._query(projection, text):
            row, whose, day, digest = (str(each.get(name) or "") for name in names)
            yield Record(str(each["Id"]), row, whose, day, digest)

    def _query(self, projection: Projection, text: str) -> Iterator[dict[str, Any]]:
        """Nothing where there is no such object: it was never made."""
        try:
            yield from self._api.query(projection.name, text)
        except Refused as refused:
            if refused.code not in NO_OBJECT:
                raise

    def _conflict(self, projection: Projection) -> str:
        options = _options(projection)
        try:
            fields = {str(each["name"]).lower(): each for each in self._api.describe(projection.name, options.object)}
        except Refused as refused:
            if refused.code not in NO_OBJECT:
                raise
            return (
                f"projection {projection.name}: there is no object {options.object} in Salesforce that this user may "
                "see: let it be made, with its fields"
            )
        wanted = [options.field_of(column.name) for column in projection.columns]
        wanted += [options.row_field, options.day_field, options.hash_field]
        lacking = [name for name in wanted if name.lower() not in fields]
        if lacking:
            return (
                f"projection {projection.name}: object {options.object} lacks the fields {', '.join(lacking)}, or this "
                "user may not see them: let them be made, or name others by the option fields"
            )
        if not fields[options.row_field.lower()].get("externalId"):
            return f"projection {projection.name}: field {options.row_field} of {options.object} is no external id"
        return ""


class _SalesforceSession(Session):
    """Every call stands by itself."""

    def __init__(self, destination: SalesforceDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination = destination
        self._projection = projection
        self._days = list(days)
        self._id_of = row_ids(projection)
        self._before = destination.calls

    @property
    def told(self) -> Mapping[str, float | str]:
        return {"calls": self._destination.calls - self._before}

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, _salesforce_value)
        last = {each.uuid: each for each in sets}
        there: dict[str, dict[str, Record]] = {uuid: {} for uuid in last}
        for each in self._destination.look_up(self._projection, list(last)):
            there.setdefault(each.uuid, {})[each.row] = each
        wanted: dict[str, dict[str, FittedRow[Any]]] = {uuid: {} for uuid in last}
        for row in rows:
            wanted[row.uuid][self._id_of(row)] = row
        changed: dict[str, None] = {}
        gone: list[str] = []
        new: list[tuple[str, str]] = []
        records: list[dict[str, Any]] = []
        for uuid, own in wanted.items():
            before = there[uuid]
            for name, row in own.items():
                if name not in before or before[name].hash != row.hash:
                    new.append((uuid, name))
                    records.append(self._record(name, row))
                    changed[uuid] = None
            for name, record in before.items():
                if name not in own:
                    gone.append(record.id)
                    changed[uuid] = None
        self._destination.remove(self._projection, gone)
        stale: list[str] = []
        columns = {
            _options(self._projection).field_of(column.name).lower(): column.name for column in self._projection.columns
        }
        for place, (code, field) in self._destination.put(self._projection, records).items():
            uuid, name = new[place]
            rejected.append(Rejected(uuid, columns.get(field.lower()), f"refused by Salesforce: {code}"))
            if name in there[uuid]:  # what stands there is out of date
                stale.append(there[uuid][name].id)
        self._destination.remove(self._projection, stale)
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        there = list(self._destination.look_up(self._projection, uuids, self._days))
        self._destination.remove(self._projection, [each.id for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def _record(self, name: str, row: FittedRow[Any]) -> dict[str, Any]:
        options = _options(self._projection)
        values = {
            options.field_of(column.name): value
            for column, value in zip(self._projection.columns, row.values, strict=True)
        }
        return {**values, options.row_field: name, options.day_field: row.day, options.hash_field: row.hash}


def _options(projection: Projection) -> SalesforceOptions:
    return SalesforceOptions.model_validate(dict(projection.options_for(SalesforceDestination.kind)))


def _salesforce_value(value: Any, column_type: ColumnType) -> Any:
    """A value as a record holds it: lists and JSON as text, numbers with all their digits."""
    found = python_value(value, column_type)
    if column_type in ("jsonb", "text[]", "bigint[]", "numeric[]"):
        return None if found is None else orjson.dumps(json_value(found)).decode()
    return json_value(found)


def _days(days: Sequence[str]) -> str:
    """Days as SOQL has them: bare."""
    return ",".join(date.fromisoformat(day).isoformat() for day in days) or "1700-01-01"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

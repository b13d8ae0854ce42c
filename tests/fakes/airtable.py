"""Airtable's web API on this machine: tables and fields, records with types, formulas as destinations write them,
pages, batches of ten that are all or nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

import orjson

from tests.fakes.services import Answer, Asked, Service, service

TOKEN = "pat1.token"
BASE = "appTestBase01"


def _fault(status: int, kind: str, message: str = "") -> Answer:
    return Answer(status, {"error": {"type": kind, "message": message}})


@dataclass(slots=True)
class FakeAirtable:
    """``tables``: name to {"id", "name", "fields"}. ``records``: table's id to records by their ids."""

    service: Service
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    numbers: int = 0

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The fields of each record; an empty one is not told."""
        found = self.tables.get(table)
        return [] if found is None else [dict(each) for each in self.records[str(found["id"])].values()]

    def make(self, name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
        self.numbers += 1
        made: dict[str, Any] = {
            "id": f"tbl{self.numbers}",
            "name": name,
            "primaryFieldId": "fld0",
            "fields": list(fields),
        }
        self.tables[name] = made
        self.records[made["id"]] = {}
        return made

    def add(self, table: str, values: dict[str, Any]) -> str:
        self.numbers += 1
        name = f"rec{self.numbers}"
        self.records[self.tables[table]["id"]][name] = _kept(values)
        return name

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _fault(401, "AUTHENTICATION_REQUIRED")
        body = orjson.loads(asked.body) if asked.body else {}
        meta = f"/v0/meta/bases/{BASE}/tables"
        if asked.path == meta:
            if asked.method == "GET":
                return Answer(200, {"tables": list(self.tables.values())})
            if body["name"] in self.tables:
                return _fault(422, "DUPLICATE_TABLE_NAME")
            return Answer(200, self.make(body["name"], body["fields"]))
        if found := re.fullmatch(rf"{meta}/(tbl\d+)/fields", asked.path):
            next(each for each in self.tables.values() if each["id"] == found[1])["fields"].append(body)
            return Answer(200, body)
        found = re.fullmatch(rf"/v0/{BASE}/([^/]+)(/listRecords)?", asked.path)
        table = self.tables.get(unquote(found[1])) if found else None
        if found is None or table is None:
            return _fault(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
        if found[2]:
            return self._list(table, body)
        if asked.method == "DELETE":
            return self._delete(table, asked.query["records[]"])
        return self._upsert(table, body)

    def _list(self, table: dict[str, Any], body: dict[str, Any]) -> Answer:
        types = {each["name"] for each in table["fields"]}
        for name in (*body["fields"], *re.findall(r"\{([^}]+)\}", body["filterByFormula"])):
            if name not in types:
                return _fault(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
        if len(body["filterByFormula"]) > 100_000 or body["pageSize"] > 100:
            return _fault(422, "INVALID_REQUEST_UNKNOWN")
        matching = [
            {"id": name, "createdTime": "", "fields": {each: values[each] for each in body["fields"] if each in values}}
            for name, values in sorted(self.records[table["id"]].items(), key=lambda item: int(item[0][3:]))
            if _holds(body["filterByFormula"], values)
        ]
        start = int(body.get("offset", "itr/0").partition("/")[2])
        page = matching[start : start + body["pageSize"]]
        rest = {"offset": f"itr/{start + len(page)}"} if start + len(page) < len(matching) else {}
        return Answer(200, {"records": page, **rest})

    def _delete(self, table: dict[str, Any], ids: list[str]) -> Answer:
        own = self.records[table["id"]]
        if len(ids) > 10:
            return _fault(422, "INVALID_RECORDS")
        if any(each not in own for each in ids):
            return _fault(404, "MODEL_ID_NOT_FOUND")
        for each in ids:
            del own[each]
        return Answer(200, {"records": [{"id": each, "deleted": True} for each in ids]})

    def _upsert(self, table: dict[str, Any], body: dict[str, Any]) -> Answer:
        own, records = self.records[table["id"]], body["records"]
        if len(records) > 10:
            return _fault(422, "INVALID_RECORDS", "at most 10")
        types = {each["name"]: each for each in table["fields"]}
        merge = body["performUpsert"]["fieldsToMergeOn"]
        for record in records:
            for name, value in record["fields"].items():
                if name not in types:
                    return _fault(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
                if value is not None and not _fits(types[name], value):
                    told = f'Field "{name}" cannot accept the provided value {value}'
                    return _fault(422, "INVALID_VALUE_FOR_COLUMN", told)
        changes: list[tuple[str | None, dict[str, Any]]] = []
        for record in records:
            name = record.get("id")
            if name is None:
                same = [each for each, has in own.items() if all(has.get(m) == record["fields"][m] for m in merge)]
                if len(same) > 1:
                    return _fault(422, "INVALID_VALUE_FOR_COLUMN", "Cannot update more than one record")
                name = same[0] if same else None
            elif name not in own:
                return _fault(404, "MODEL_ID_NOT_FOUND")
            changes.append((name, record["fields"]))
        for name, values in changes:
            if name is None:
                self.add(table["name"], values)
            else:
                own[name] = _kept(own[name] | values)
        return Answer(200, {"records": [], "createdRecords": [], "updatedRecords": []})


def _kept(values: dict[str, Any]) -> dict[str, Any]:
    """Airtable keeps no empty values: an empty text or an unchecked box is nothing."""
    return {name: value for name, value in values.items() if value is not None and value != "" and value is not False}


def _fits(kind: dict[str, Any], value: Any) -> bool:
    match kind["type"]:
        case "singleLineText" | "multilineText" | "richText":
            return isinstance(value, str) and len(value) <= 100_000
        case "number":
            whole = kind["options"]["precision"] == 0
            return isinstance(value, int | float) and not isinstance(value, bool) and (not whole or value == int(value))
        case "checkbox":
            return isinstance(value, bool)
        case "date":
            return isinstance(value, str) and date.fromisoformat(value) is not None
        case "dateTime":
            return isinstance(value, str) and datetime.fromisoformat(value) is not None
    return False


_EQUAL = re.compile(r"\{([^}]+)\}='((?:[^'\\]|\\.)*)'")


def _holds(formula: str, values: dict[str, Any]) -> bool:
    """The formulas that destinations write: OR and AND of equations, NOT of one."""
    if formula.startswith("AND("):
        first, _, second = formula.removeprefix("AND(").removesuffix(")").partition("),OR(")
        return _holds(first + ")", values) and _holds("OR(" + second, values)
    equations = [
        values.get(name, "") == text.replace("\\'", "'").replace("\\\\", "\\") for name, text in _EQUAL.findall(formula)
    ]
    if formula.startswith("NOT("):
        return not equations[0]
    return any(equations)


@contextlib.contextmanager
def fake_airtable() -> Iterator[FakeAirtable]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: fake.answer(asked)) as running:
        fake = FakeAirtable(running)
        yield fake

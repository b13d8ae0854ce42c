"""Salesforce's REST API on this machine: sign-in, describe, SOQL as destinations write it, collections of 200, a
recycle bin."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.fakes.services import Answer, Asked, Service, service

CLIENT, SECRET, REFRESH = "3MVG9-client", "client-secret", "5Aep-refresh"
DATA = "/services/data/v62.0"
PAGE = 500


def _fault(status: int, code: str, message: str = "") -> Answer:
    return Answer(status, [{"errorCode": code, "message": message}])


@dataclass(slots=True)
class FakeSalesforce:
    """``objects``: name to its fields (name to type and rules). ``records``: by object and id. ``bin``: what was
    deleted. ``locked``: how often an upsert still meets a locked record."""

    service: Service
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    bin: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    expired: bool = False
    numbers: int = 0
    locked: int = 0

    def make(self, name: str, **fields: Any) -> None:
        """An object with these fields: a type's name, or {type, length, required, externalId}."""
        self.objects[name] = {each: kind if isinstance(kind, dict) else {"type": kind} for each, kind in fields.items()}
        self.records[name] = {}

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/services/oauth2/token":
            return self._sign_in({name: values[0] for name, values in parse_qs(asked.body.decode()).items()})
        if self.expired or asked.headers.get("authorization") != f"Bearer token-{self.tokens}!x":
            return _fault(401, "INVALID_SESSION_ID", "Session expired or invalid")
        path = asked.path.removeprefix(DATA)
        if found := re.fullmatch(r"/sobjects/(\w+)/describe", path):
            if found[1] not in self.objects:
                return _fault(404, "NOT_FOUND", "The requested resource does not exist")
            fields = [{"name": name, "externalId": False, **kind} for name, kind in self.objects[found[1]].items()]
            return Answer(200, {"name": found[1], "fields": fields})
        if path == "/query":
            return self._query(asked.query["q"][0])
        if found := re.fullmatch(r"/query/(\d+)-([A-Za-z0-9]+)", path):
            return self._query(bytes.fromhex(found[2]).decode(), int(found[1]))
        if found := re.fullmatch(r"/composite/sobjects/(\w+)/(\w+)", path):
            return self._upsert(found[1], found[2], orjson.loads(asked.body))
        if path == "/composite/sobjects" and asked.method == "DELETE":
            return self._delete(asked.query["ids"][0].split(","))
        return _fault(404, "NOT_FOUND")

    def _sign_in(self, form: dict[str, str]) -> Answer:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Answer(401, {"error": "invalid_client", "error_description": "invalid client credentials"})
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != REFRESH:
            return Answer(400, {"error": "invalid_grant", "error_description": "expired access/refresh token"})
        self.tokens += 1
        self.expired = False
        return Answer(200, {"access_token": f"token-{self.tokens}!x", "token_type": "Bearer"})

    def _query(self, text: str, start: int = 0) -> Answer:
        found = re.fullmatch(r"SELECT (.+) FROM (\w+) WHERE (.+?)( GROUP BY (\w+))?", text)
        if found is None:
            return _fault(400, "MALFORMED_QUERY")
        name = found[2]
        if name not in self.objects:
            return _fault(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        matching = [record for record in self.records[name].values() if _holds(found[3], record)]
        if found[5]:
            groups: dict[str, int] = {}
            for record in matching:
                groups[record[found[5]]] = groups.get(record[found[5]], 0) + 1
            rows = [{"day": day, "number": number} for day, number in groups.items()]
        else:
            rows = [{each: record.get(each) for each in found[1].split(",")} for record in matching]
        page = rows[start : start + PAGE]
        done = start + len(page) >= len(rows)
        more = {} if done else {"nextRecordsUrl": f"{DATA}/query/{start + len(page)}-{text.encode().hex()}"}
        return Answer(200, {"totalSize": len(rows), "done": done, "records": page, **more})

    def _upsert(self, name: str, key: str, body: dict[str, Any]) -> Answer:
        if len(body["records"]) > 200:
            return _fault(400, "INVALID_COLLECTION_SIZE")
        results: list[dict[str, Any]] = []
        for record in body["records"]:
            values = {each: value for each, value in record.items() if each != "attributes"}
            results.append(self._upsert_one(name, key, values))
        return Answer(200, results)

    def _upsert_one(self, name: str, key: str, values: dict[str, Any]) -> dict[str, Any]:
        own = self.records[name]
        before = next((record for record in own.values() if record[key] == values[key]), None)
        if self.locked > 0:
            self.locked -= 1
            return _refused("UNABLE_TO_LOCK_ROW")
        kept = dict(before or {})
        for each, value in values.items():
            kind = self.objects[name].get(each)
            if kind is None:
                return _refused("INVALID_FIELD", each)
            fault = _misfit(kind, value)
            if fault:
                return _refused(fault, each)
            text = value.strip() if isinstance(value, str) else value  # Salesforce trims
            kept[each] = None if text == "" else text
        if before is None:
            self.numbers += 1
            kept["Id"] = f"a00{self.numbers:015}"
        own[kept["Id"]] = kept
        return {"id": kept["Id"], "success": True, "errors": [], "created": before is None}

    def _delete(self, ids: list[str]) -> Answer:
        if len(ids) > 200:
            return _fault(400, "INVALID_COLLECTION_SIZE")
        results: list[dict[str, Any]] = []
        for each in ids:
            own = next((records for records in self.records.values() if each in records), None)
            if own is None:
                results.append(_refused("ENTITY_IS_DELETED"))
            else:
                self.bin.append(own.pop(each))
                results.append({"id": each, "success": True, "errors": []})
        return Answer(200, results)


def _refused(code: str, *fields: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": "words", "fields": list(fields)}]}


def _misfit(kind: dict[str, Any], value: Any) -> str:
    if value is None or value == "":
        return "REQUIRED_FIELD_MISSING" if kind.get("required") else ""
    match kind["type"]:
        case "string" | "textarea":
            if not isinstance(value, str):
                return "JSON_PARSER_ERROR"
            return "STRING_TOO_LONG" if len(value) > kind.get("length", 131_072) else ""
        case "double":
            fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
            return "" if fits else "NUMBER_OUTSIDE_VALID_RANGE"
        case "boolean":
            return "" if isinstance(value, bool) else "JSON_PARSER_ERROR"
        case "date" | "datetime":
            (date if kind["type"] == "date" else datetime).fromisoformat(value)
    return ""


def _holds(where: str, record: dict[str, Any]) -> bool:
    for part in where.split(" AND "):
        if found := re.fullmatch(r"(\w+) != null", part):
            if record.get(found[1]) is None:
                return False
        elif found := re.fullmatch(r"(\w+) IN \((.*)\)", part):
            wanted = [each.strip("'") for each in found[2].split(",")]
            if record.get(found[1]) not in wanted:
                return False
        else:
            raise AssertionError(f"a condition that nobody expected: {part}")
    return True


@contextlib.contextmanager
def fake_salesforce() -> Iterator[FakeSalesforce]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: fake.answer(asked)) as running:
        fake = FakeSalesforce(running)
        yield fake

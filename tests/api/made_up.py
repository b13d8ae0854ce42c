"""Requests that nobody would send in good faith, the same ones for the same seed.

Belongs here: making them, and sending one over a socket. Not here: what must hold afterwards (``test_scan.py``).
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

TEXTS = (
    "",
    "0",
    "-1",
    "1e309",
    "null",
    "true",
    "a",
    "a:b",
    "../../etc/passwd",
    "%",
    "%00",
    "\x00",
    "\ud7ff",
    "\ud800",
    "\U0001d4b3" * 5,
    "$..*",
    ".[0]|@base32d",
    "'; DROP TABLE x;--",
    "{{7*7}}",
    "${jndi:x}",
    "x" * 3000,
    "NaN",
    "2026-13-45",
    "99999999999999999999",
    "\r\nSet-Cookie: a=b",
    "(((((",
    "*",
    "@tel:{1}",
    "00000000-0000-0000-0000-000000000000",
    "file:///etc/passwd",
    "http://127.0.0.1:1/",
    "[]",
    "{}",
)
NUMBERS = (0, 1, -1, 2, 10, 1000, 2**31, 2**63, 2**64, -(2**63), 0.5, 1e308, -0.0)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY", "G ET", "")
TYPES = (
    "application/json",
    "application/vcon",
    "application/vcon+gzip",
    "application/gzip",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-ndjson",
    "*/*",
    "",
)
HEADERS = (
    ("Content-Encoding", "gzip"),
    ("Range", "bytes=9-1"),
    ("Range", "bytes=-"),
    ("If-Match", "*"),
    ("Expect", "100-continue"),
    ("X-Request-Id", "a" * 500),
    ("Origin", "https://evil.example"),
    ("Content-Type", "\xff\xfe"),
    ("Accept", "x"),
    ("Connection", "upgrade"),
    ("Upgrade", "websocket"),
    ("Authorization", "Basic ////"),
    ("Authorization", "Bearer "),
    ("Host", "a\tb"),
    ("Cookie", "a=" + "b" * 5000),
    ("Last-Event-ID", "\x7f"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A request. ``announced``: its Content-Length, where that is not the truth."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    announced: str | None = None
    chunked: bool = False

    def to_bytes(self, key: str) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.body or self.announced is not None:
            lines.append(f"Content-Length: {self.announced or len(self.body)}")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.body), self.body) if self.chunked else self.body
        return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogatepass") + body


@dataclass(slots=True)
class Maker:
    """Makes requests from an OpenAPI document. ``bodies``: documents to post; ``uuids``: of vCons that are there."""

    document: Mapping[str, Any]
    bodies: Sequence[bytes]
    uuids: Sequence[str]
    chosen: random.Random
    operations: list[tuple[str, str, Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.operations = [
            (method.upper(), path, operation)
            for path, item in sorted(self.document["paths"].items())
            for method, operation in sorted(item.items())
            if not path.endswith("/delay")  # which waits for an hour, where it is asked to
        ]

    def of_each_operation(self, times: int) -> Iterator[Made]:
        """Every operation so many times, with what its description asks for, or nearly."""
        for operation in self.operations:
            for _ in range(times):
                yield self._call(*operation)

    def mutated(self, count: int) -> Iterator[Made]:
        """Requests with something wrong about them; a third of them bring a document."""
        doors = [each for each in self.operations if each[0] == "POST" and each[1].endswith(("/vcon", "/vcons"))]
        # A language model of 100 MB that comes into memory half way would look like a leak.
        others = [each for each in self.operations if "redact" not in each[1]]
        for _ in range(count):
            made = self._call(*self.chosen.choice(doors if self.chosen.random() < 0.33 else others))
            for change in self.chosen.sample(
                (self._body, self._target, self._method, self._header, self._length), self.chosen.choice((1, 1, 2))
            ):
                made = change(made)
            yield made

    # --- as the description asks -----------------------------------------------------------------------------------

    def _call(self, method: str, path: str, operation: Mapping[str, Any]) -> Made:
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
        for parameter in operation.get("parameters", ()):
            if parameter.get("required") or self.chosen.random() < 0.5:
                given[parameter["in"]][parameter["name"]] = self._value(parameter.get("schema", {}), parameter["name"])
        target = re.sub(r"{(\w+)}", lambda found: _quoted(_text(given["path"].get(found[1], "x"))), path)
        pairs = [
            (n, each) for n, value in given["query"].items() for each in (value if isinstance(value, list) else [value])
        ]
        if pairs:
            target += "?" + "&".join(f"{quote(name)}={_quoted(_text(value))}" for name, value in pairs)
        headers = [(name, re.sub(r"[^ -~]", "", _text(value))) for name, value in given["header"].items()]
        content = operation.get("requestBody", {}).get("content", {})
        if not content:  # it reads the body itself, if it reads one
            return Made(method, target, headers, self.chosen.choice(self.bodies) if method == "POST" else b"")
        media_type, described = self.chosen.choice(list(content.items()))
        schema = described.get("schema")
        body = json.dumps(self._value(schema)).encode() if schema else self.chosen.choice(self.bodies)
        return Made(method, target, [*headers, ("Content-Type", media_type)], body)

    def _value(self, schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
        chosen = self.chosen
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if chosen.random() < 0.1 or depth > 4:
            return chosen.choice((None, chosen.choice(TEXTS), chosen.choice(NUMBERS), [], {}, [[]], True))
        if chosen.random() < 0.2 and "default" in schema:
            return schema["default"]
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._value(chosen.choice(schema[several]), name, depth)
        if "enum" in schema or "const" in schema:
            return chosen.choice(schema.get("enum") or [schema["const"]])
        match schema.get("type"):
            case "integer" | "number":
                return chosen.choice((chosen.choice(NUMBERS), schema.get("minimum", 1), schema.get("maximum", 5)))
            case "boolean":
                return chosen.random() < 0.5
            case "array":
                return [self._value(schema.get("items", {}), name, depth + 1) for _ in range(chosen.randrange(3))]
            case "object":
                members = schema.get("properties", {})
                wanted = [each for each in members if each in schema.get("required", ()) or chosen.random() < 0.4]
                return {each: self._value(members[each], each, depth + 1) for each in wanted}
        if "uuid" in name and chosen.random() < 0.7:
            return chosen.choice(self.uuids)
        return chosen.choice(("recall", "set_parameters", "a", *TEXTS))

    # --- and not ---------------------------------------------------------------------------------------------------

    def _body(self, made: Made) -> Made:
        body = bytearray(self.chosen.choice((made.body, self.chosen.choice(self.bodies))))
        for _ in range(self.chosen.randrange(4)):
            at = self.chosen.randrange(len(body) + 1)
            match self.chosen.randrange(4):
                case 0:
                    body[at : at + 1] = bytes([self.chosen.randrange(256)])
                case 1:
                    del body[at:]
                case 2:
                    body[at:at] = self.chosen.choice((b"\x00", b'"', b"{", b"[" * 2000, b"\xed\xa0\x80", b"1" * 400))
                case 3:
                    body += body[: at % 500]
        headers = [*made.headers, ("Content-Type", self.chosen.choice(TYPES))]
        return Made(made.method, made.target, headers, bytes(body), chunked=self.chosen.random() < 0.2)

    def _target(self, made: Made) -> Made:
        target, text = made.target, _quoted(self.chosen.choice(TEXTS), safe="/%")
        at = self.chosen.randrange(1, len(target) + 1)
        sign = "&" if "?" in target else "?"
        target = self.chosen.choice(
            (
                target[:at] + text + target[at:],
                target[:at],
                f"/{target}",
                f"{target}/",
                f"{target}{sign}version={text}",
                f"{target}{sign}{text}={text}",
                f"http://evil.example{target}",
                target.replace("/", "/./", 1),
                target.upper(),
                f"{target}%ff%c0%ae",
                f"{target}{sign}limit={text}&limit=5",
            )
        )
        return Made(made.method, target or "/", made.headers, made.body)

    def _method(self, made: Made) -> Made:
        return Made(self.chosen.choice(METHODS), made.target, made.headers, made.body)

    def _header(self, made: Made) -> Made:
        return Made(made.method, made.target, [*made.headers, self.chosen.choice(HEADERS)], made.body)

    def _length(self, made: Made) -> Made:
        announced = self.chosen.choice((str(len(made.body) + 7), "0", "-5", "99999999999999999999", "1, 1", "abc", "1"))
        return Made(made.method, made.target, made.headers, made.body, announced=announced)


def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=safe, errors="surrogatepass")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if value is not None else "null"


async def status_of(made: Made, port: int, key: str, seconds: float = 20.0) -> int | None:
    """The status of the answer; None where there is none, which only a request that is no HTTP may have."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(made.to_bytes(key))
        if made.announced is not None:  # else the server would wait for what never comes
            await asyncio.wait_for(writer.drain(), seconds)
            line = await _line(reader, 0.3)
            if line is None:
                return None
        else:
            line = await _line(reader, seconds)
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", line or b"")
        return int(found[1]) if found else None
    except ConnectionError:
        return None
    finally:
        writer.close()


async def _line(reader: asyncio.StreamReader, seconds: float) -> bytes | None:
    try:
        return await asyncio.wait_for(reader.readline(), seconds)
    except TimeoutError:
        return None

"""Salesforce's REST API as a destination needs it: signing in, asking, up to 200 records a call.

Belongs here: calls, and what their errors mean. Not here: rows (``destination.py``).

All calls go to the one address that the option names (My Domain), also where a sign-in's answer names another: a key
goes where this installation allows it. Errors are told by their codes, for their texts quote values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.calling import Service
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable

TITLE = "Salesforce"
AT_ONCE = 200
"""Records of one call."""
_PASSING = frozenset({"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "UNABLE_TO_LOCK_ROW"})
_GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
_TOLD = frozenset({400, 401, 403, 404})
NO_OBJECT = frozenset({"INVALID_TYPE", "NOT_FOUND"})
"""Codes for an object that is not there, or not to be seen by this user."""


class Refused(DestinationError):
    """A call that was refused. ``code``: Salesforce's word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one record was refused, and the field that it was refused for, where that is known."""

    code: str
    field: str = ""


class Salesforce:
    """The API at one address. ``sign_in`` gives the form that a token is asked with."""

    def __init__(self, service: Service, version: str, sign_in: Callable[[], Mapping[str, str]]) -> None:
        self._service = service
        self._base = f"/services/data/v{version}"
        self._sign_in = sign_in
        self._token = ""

    @property
    def calls(self) -> int:
        """Calls made so far: an org has so many a day."""
        return self._service.calls

    def describe(self, projection: str, name: str) -> list[dict[str, Any]]:
        """The fields of an object. Raises :class:`Refused`."""
        fields: list[dict[str, Any]] = self._call(projection, "GET", f"{self._base}/sobjects/{name}/describe")["fields"]
        return fields

    def query(self, projection: str, text: str) -> Iterator[dict[str, Any]]:
        """The records that a SOQL query finds. Raises :class:`Refused`."""
        path = f"{self._base}/query?q={quote(text, safe='')}"
        while True:
            answer = self._call(projection, "GET", path)
            yield from answer["records"]
            if answer["done"]:
                return
            path = answer["nextRecordsUrl"]
            if not re.fullmatch(r"/services/data/v[0-9.]+/query/[A-Za-z0-9-]+", path):
                raise DestinationError(f"projection {projection}: {TITLE} names a next page that is none")

    def upsert(self, projection: str, name: str, key: str, records: Sequence[Mapping[str, Any]]) -> dict[int, Fault]:
        """Change or make records by their external id, and say which (by place) were refused."""

        def once(places: Sequence[int]) -> list[Any]:
            body = {
                "allOrNone": False,
                "records": [{"attributes": {"type": name}, **records[place]} for place in places],
            }
            found: list[Any] = self._call(projection, "PATCH", f"{self._base}/composite/sobjects/{name}/{key}", body)
            return found

        return self._portions(projection, len(records), once)

    def delete(self, projection: str, ids: Sequence[str]) -> None:
        """Delete records; ones that are gone already are no fault. Raises DestinationError where one stays."""

        def once(places: Sequence[int]) -> list[Any]:
            wanted = ",".join(ids[place] for place in places)
            path = f"{self._base}/composite/sobjects?ids={wanted}&allOrNone=false"
            found: list[Any] = self._call(projection, "DELETE", path)
            return found

        faults = {fault.code for fault in self._portions(projection, len(ids), once).values()} - _GONE
        if faults:
            raise DestinationError(
                f"projection {projection}: {TITLE} does not delete records ({', '.join(sorted(faults))}); look at what "
                "the user may do, and at the object's triggers and rules"
            )

    def _portions(self, projection: str, number: int, once: Callable[[Sequence[int]], list[Any]]) -> dict[int, Fault]:
        """Call for all records, some at a time; what others hold locked is tried again."""
        refused: dict[int, Fault] = {}
        for start in range(0, number, AT_ONCE):
            left: Sequence[int] = range(start, min(start + AT_ONCE, number))
            for attempt in range(calling.TRIES):
                results = once(left)
                if not isinstance(results, list) or len(results) != len(left):
                    raise DestinationError(f"projection {projection}: {TITLE} did not answer for every record")
                faults = {
                    place: _fault(result) for place, result in zip(left, results, strict=True) if not result["success"]
                }
                left = [place for place, fault in faults.items() if fault.code in _PASSING]
                refused |= {place: fault for place, fault in faults.items() if fault.code not in _PASSING}
                if not left:
                    break
                calling.pause(0.5 * 2**attempt)
            else:
                raise DestinationUnavailable(
                    f"projection {projection}: {TITLE}: records stay locked by somebody else; the rows follow at the "
                    "next try"
                )
        return refused

    def _call(self, projection: str, method: str, path: str, body: Any = None) -> Any:
        for fresh in (False, True):
            if not self._token or fresh:
                self._token = self._new_token(projection)
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            content = b"" if body is None else orjson.dumps(body)
            answer = self._service.call(projection, method, path, content=content, headers=headers, fine=_TOLD)
            if answer.fine:
                return self._service.read(projection, answer)
            if answer.status != 401:
                break
        told = self._service.read(projection, answer)
        first = told[0] if isinstance(told, list) and told else {}
        code = _code(first.get("errorCode") if isinstance(first, dict) else None)
        place = f"projection {projection}: {TITLE}: {self._service.address.shown} answered {method} with {code}"
        if code in _PASSING:
            raise DestinationUnavailable(f"{place}; the rows follow at the next try")
        raise Refused(f"{place}; look at the object and at what the user may do", code)

    def _new_token(self, projection: str) -> str:
        answer = self._service.call(
            projection,
            "POST",
            "/services/oauth2/token",
            content=urlencode(self._sign_in()).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            fine=_TOLD,
        )
        told = self._service.read(projection, answer)
        token = told.get("access_token") if answer.fine and isinstance(told, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            word = _code(told.get("error") if isinstance(told, dict) else None)
            raise DestinationError(
                f"projection {projection}: {TITLE}: {self._service.address.shown} gives no token ({word}); check "
                "client_id, client_secret and refresh_token, and that the app allows this way to sign in"
            )
        return token


def _fault(result: Mapping[str, Any]) -> Fault:
    first: Mapping[str, Any] = next(iter(result.get("errors") or ()), {})
    fields = first.get("fields") or [""]
    return Fault(_code(first.get("statusCode")), str(fields[0]))


def _code(word: Any) -> str:
    """A code as it is; anything else could be a text that quotes."""
    return word if isinstance(word, str) and re.fullmatch(r"[A-Za-z_]{1,80}", word) else "an error without a code"

"""The REST API of Elasticsearch and OpenSearch as a destination needs it.

Belongs here: calls, pages, bulk requests, what their answers mean. Not here: rows and documents (``destination.py``).
Plain HTTP, because the two servers' own clients refuse each other's servers, and these calls are the same for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.calling import Service
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable

MOST_BYTES = 5 << 20
"""Of one bulk request."""
PAGE = 10_000
"""What a server gives at once by default."""
_FIELD = re.compile(r"failed to parse field \[([a-z0-9_]{1,63})\]")


class ElasticApi:
    """The API at one address. Every method is told for which projection it asks, to say so where it fails."""

    def __init__(self, title: str, service: Service, headers: Mapping[str, str]) -> None:
        self._title = title
        self._service = service
        self._headers = headers

    def bulk(
        self, projection: str, index: str, actions: Sequence[tuple[bytes, str]]
    ) -> dict[str, tuple[str, str | None]]:
        """Carry these out (lines and the document's id), and say which were refused for themselves: by id what kind
        of fault, and the field where it is known."""
        refused: dict[str, tuple[str, str | None]] = {}
        for portion in _portions(actions):
            left = portion
            for attempt in range(calling.TRIES):
                left = self._bulk_once(projection, index, left, refused)
                if not left:
                    break
                calling.pause(0.5 * 2**attempt)
            else:
                raise DestinationUnavailable(
                    f"projection {projection}: {self._title} is too busy to take all documents; the rows follow at "
                    "the next try"
                )
        return refused

    def _bulk_once(
        self,
        projection: str,
        index: str,
        actions: Sequence[tuple[bytes, str]],
        refused: dict[str, tuple[str, str | None]],
    ) -> list[tuple[bytes, str]]:
        """One request; gives back what the server was too busy for."""
        answer = self._service.call(
            projection,
            "POST",
            f"/{index}/_bulk",
            content=b"".join(lines for lines, _ in actions),
            headers={**self._headers, "Content-Type": "application/x-ndjson", "Accept": "application/json"},
        )
        told = self._service.read(projection, answer)
        items = told.get("items") if isinstance(told, dict) else None
        if not isinstance(items, list) or len(items) != len(actions):
            raise DestinationError(
                f"projection {projection}: {self._title} did not answer for every document; is the address right?"
            )
        busy: list[tuple[bytes, str]] = []
        for action, item in zip(actions, items, strict=True):
            result = next(iter(item.values()))
            status = result.get("status", 500)
            if status < 300 or (status == 404 and "delete" in item):
                continue
            fault = result.get("error") or {}
            if status in (429, 503):
                busy.append(action)
            elif status == 400:
                field = _FIELD.search(str(fault.get("reason", "")))
                refused[action[1]] = (str(fault.get("type", "")), field[1] if field else None)
            else:
                raise DestinationError(
                    f"projection {projection}: {self._title} refuses a document with status {status} "
                    f"({fault.get('type')}); look at the index {index}"
                )
        return busy

    def mapping(self, projection: str, index: str) -> Mapping[str, Any] | None:
        """The mapping of an index; None where there is none."""
        answer = self.ask(projection, "GET", f"/{index}/_mapping", fine={404})
        if "error" in answer:
            return None
        found: Mapping[str, Any] = next(iter(answer.values()))["mappings"]
        return found

    def refresh(self, projection: str, index: str) -> bool:
        """Let searches see everything; False where there is no index."""
        answer = self.ask(projection, "POST", f"/{index}/_refresh", fine={404})
        return "error" not in answer

    def buckets(
        self, projection: str, index: str, sources: list[dict[str, Any]], where: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """The buckets of a composite aggregation over these documents, page by page; none without an index."""
        if not self.refresh(projection, index):
            return
        composite: dict[str, Any] = {"size": PAGE, "sources": sources}
        body = {
            "size": 0,
            "query": {"bool": {"filter": where}},
            "aggs": {"found": {"composite": composite}},
            "track_total_hits": False,
        }
        while True:
            found = self.search(projection, index, body)["aggregations"]["found"]
            yield from found["buckets"]
            if len(found["buckets"]) < PAGE:
                return
            composite["after"] = found["after_key"]

    def search(self, projection: str, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A search of all shards. Raises DestinationUnavailable where some did not answer, for what they hold would be
        taken for gone."""
        answer = self.ask(projection, "POST", f"/{index}/_search", body)
        if answer.get("timed_out") or (answer.get("_shards") or {}).get("failed"):
            raise DestinationUnavailable(
                f"projection {projection}: {self._title} could not ask all shards of {index}; "
                "the rows follow at the next try"
            )
        return answer

    def ask(
        self,
        projection: str,
        method: str,
        path: str,
        body: Any = None,
        fine: frozenset[int] | set[int] = frozenset(),
    ) -> dict[str, Any]:
        """A call with JSON in both directions."""
        answer = self._service.json(projection, method, path, body, headers=self._headers, fine=fine)
        if not isinstance(answer, dict):
            raise DestinationError(
                f"projection {projection}: {self._title}: {self._service.address.shown} answered with something "
                "that is none of its answers; is it the right address?"
            )
        return answer


def _portions(actions: Sequence[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    """As many as go into one request."""
    portion: list[tuple[bytes, str]] = []
    size = 0
    for action in actions:
        if portion and size + len(action[0]) > MOST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(action)
        size += len(action[0])
    if portion:
        yield portion

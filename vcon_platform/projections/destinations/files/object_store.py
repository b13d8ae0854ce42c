"""The object store as a destination: one JSON file per conversation, with its rows.

Belongs here: reading and making such a file. Not here: folders and sessions (``base.py``).

A projection with a column from ``vcon`` delivers whole conversations this way: the column's value is the document.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from vcon_platform.projections.destinations.files.base import FilesDestination, Row, now
from vcon_platform.projections.destinations.files.ndjson import json_value
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType


class ObjectStoreDestination(FilesDestination):
    """Rows in ``day=2026-03-02/{uuid}.json``: ``{"projection", "uuid", "day", "hash", "landed_at", "rows"}``."""

    kind: ClassVar[str] = "object_store"
    title: ClassVar[str] = "Object store"
    workers: ClassVar[int] = 16
    per_conversation: ClassVar[bool] = True

    @classmethod
    def suffix(cls, projection: Projection) -> str:  # noqa: ARG003
        return ".json"

    @classmethod
    def value(cls, projection: Projection) -> Callable[[Any, ColumnType], Any]:  # noqa: ARG003
        return json_value

    @classmethod
    def sets_in(cls, projection: Projection, data: bytes) -> Mapping[str, tuple[str, int]]:  # noqa: ARG003
        found = orjson.loads(data)
        return {found["uuid"]: (found["hash"], len(found["rows"]))}

    @classmethod
    def made(cls, projection: Projection, before: bytes | None, drop: Collection[str], rows: Sequence[Row]) -> bytes:  # noqa: ARG003
        names = [column.name for column in projection.columns]
        return orjson.dumps(
            {
                "projection": projection.name,
                "uuid": rows[0].uuid,
                "day": rows[0].day,
                "hash": rows[0].hash,
                "landed_at": now().isoformat(),
                "rows": [dict(zip(names, row.values, strict=True)) for row in rows],
            },
            option=orjson.OPT_INDENT_2,
        )

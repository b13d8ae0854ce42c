"""What several tests of destinations need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from redis import Redis

from vcon_platform.projections.destination import Connections
from vcon_platform.projections.model import Projection


def _never() -> Any:
    raise AssertionError("this destination needs none of the platform's own connections")


NO_CONNECTIONS = Connections(postgres=_never, redis=_never, objects=_never, data_dir=Path("/nowhere"))
"""For destinations that connect by their own options only."""

EVERY_TYPE: dict[str, Any] = {
    "a_text": "said",
    "a_integer": 7,
    "a_bigint": 2**40,
    "a_numeric": "0.10",
    "a_double": 1.5,
    "a_boolean": True,
    "a_timestamptz": "2026-03-01T10:30:00+01:00",
    "a_date": "2026-03-01",
    "a_jsonb": {"a.b": [1, {"$c": None}], "": 2},
    "a_array_of_text": ["a", None, "b"],
    "a_array_of_bigint": [1, 2],
    "a_array_of_numeric": ["1.5", 2],
}
"""A value of each type of column, by the names of the columns of :func:`every_type`."""


def every_type(kind: str, **options: Any) -> Projection:
    """A table with a column of each type, in a destination of this kind with these options."""
    types = [(name, name.removeprefix("a_")) for name in EVERY_TYPE]
    spelled = [
        (name, f"{kept.removeprefix('array_of_')}[]" if kept.startswith("array_of_") else kept) for name, kept in types
    ]
    return Projection.model_validate(
        {
            "name": "every_type",
            "pipelines": ["recall"],
            "rows": "conversation",
            "columns": [
                {"name": "uuid", "type": "text", "from": "uuid"},
                *({"name": name, "type": column_type, "from": "subject"} for name, column_type in spelled),
            ],
            "destinations": [{kind: options}],
        }
    )


def with_redis(client: Redis) -> Connections:
    """For destinations that remember in the platform's Redis what they have sent."""
    return replace(NO_CONNECTIONS, redis=lambda: client)

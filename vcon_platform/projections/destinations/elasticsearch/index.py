"""The index of a projection in Elasticsearch or OpenSearch: its mapping, its creation, how it may grow.

Belongs here: what an index must look like. Not here: documents (``destination.py``).

What is not declared is kept out of the index (``dynamic: false``): a value never makes a field. ``jsonb`` is stored and
not indexed, for its members come from conversations, and each would become a field for good. The mapping's ``_meta``
says which projection keeps the index, so that two never write into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcon_platform.projections.destination import Step
from vcon_platform.projections.errors import SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType

KEYWORD = {"type": "keyword", "ignore_above": 8_191}
"""A term has at most 32,766 bytes, which are 8,191 characters of four."""
_TEXT = {"type": "text", "fields": {"keyword": KEYWORD}}
_TYPES: dict[ColumnType, dict[str, Any]] = {
    "text": _TEXT,
    "integer": {"type": "integer"},
    "bigint": {"type": "long"},
    "numeric": {"type": "double"},
    "double": {"type": "double"},
    "boolean": {"type": "boolean"},
    "timestamptz": {"type": "date", "format": "strict_date_optional_time"},
    "date": {"type": "date", "format": "yyyy-MM-dd"},
    "jsonb": {"type": "object", "enabled": False},
    "text[]": _TEXT,
    "bigint[]": {"type": "long"},
    "numeric[]": {"type": "double"},
}
BOOKKEEPING: dict[str, dict[str, Any]] = {
    "_row": {"type": "keyword"},
    "_day": {"type": "date", "format": "yyyy-MM-dd"},
    "_row_hash": {"type": "keyword"},
    "_landed_at": {"type": "date", "format": "strict_date_optional_time"},
}
RESERVED = frozenset(
    {
        *("_id", "_index", "_source", "_routing", "_type", "_size", "_field_names", "_ignored", "_meta", "_tier"),
        *("_seq_no", "_primary_term", "_version", "_doc_count", "_nested_path", "_feature", "_tsid", "_row"),
    }
)
"""Names that a field of a document cannot have there."""


def mapping(projection: Projection) -> dict[str, Any]:
    """The mapping of a new index."""
    return {
        "dynamic": False,
        "_meta": {"vcon_platform": {"projection": projection.name}},
        "properties": {**_properties(projection), **BOOKKEEPING},
    }


def _properties(projection: Projection) -> dict[str, dict[str, Any]]:
    return {
        column.name: {"type": "keyword"} if column.name == projection.uuid_column else _TYPES[column.type]
        for column in projection.columns
    }


def missing(projection: Projection, index: str, found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that the index lacks. Raises :class:`SchemaConflict` where it is not the projection's, or a field has
    another type."""
    keeper = ((found.get("_meta") or {}).get("vcon_platform") or {}).get("projection")
    has = found.get("properties") or {}
    if keeper != projection.name:
        told = f"is kept by projection {keeper}" if keeper else "exists and was not made for a projection"
        raise SchemaConflict(f"index {index} {told}; give projection {projection.name} another index")
    wanted = {**_properties(projection), **BOOKKEEPING}
    for name, field in wanted.items():
        if name in has and has[name].get("type", "object") != field["type"]:
            raise SchemaConflict(
                f"field {name} of index {index} is {has[name].get('type', 'object')}, projection {projection.name} "
                f"says {field['type']}, and a field's type never changes: give the column another name, or the "
                "projection another index (and delete the old one once the new one is filled)"
            )
    return {name: field for name, field in wanted.items() if name not in has}


def steps(projection: Projection, index: str, found: Mapping[str, Any] | None) -> list[Step]:
    """What would make the index what the declaration says."""
    if found is None:
        return [Step(f"PUT /{index} (a new index with {len(projection.columns)} fields)")]
    try:
        lacking = missing(projection, index, found)
    except SchemaConflict as conflict:
        return [Step(f"PUT /{index}/_mapping", refused=str(conflict))]
    return [Step(f"PUT /{index}/_mapping (new: {', '.join(lacking)})")] if lacking else []

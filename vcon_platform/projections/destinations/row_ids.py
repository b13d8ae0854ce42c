"""The name of a row where a destination wants one: a document's id, an external id.

It is made of the key's values and nothing else, so that the same row is the same document whoever writes it, and begins
with the conversation's uuid. Short values stand in it as they are; anything else as a digest, since ids are limited in
length and kept in indexes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from vcon_platform.projections.fitting import FittedRow
from vcon_platform.projections.model import Projection

_READABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def row_ids(projection: Projection) -> Callable[[FittedRow[Any]], str]:
    """Gives a row's id, of at most 110 characters: ``uuid``, ``uuid/0`` or ``uuid/~digest``."""
    names = [column.name for column in projection.columns]
    places = [names.index(name) for name in projection.key if name != projection.uuid_column]

    def id_of(row: FittedRow[Any]) -> str:
        if not places:
            return row.uuid
        parts = [_text(row.values[place]) for place in places]
        joined = ".".join(parts)
        if len(parts) > 1 or not _READABLE.fullmatch(joined):
            joined = "~" + hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]
        return f"{row.uuid}/{joined}"

    return id_of


def _text(value: Any) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else str(value)  # 1 and 1.00 are one key

"""Files of rows as text: compression, and which columns such a file has.

Belongs here: what CSV and NDJSON share. Not here: how a row becomes a line (``csv.py``, ``ndjson.py``).
"""

from __future__ import annotations

import gzip
from typing import Literal, cast

from pydantic import Field

from vcon_platform.projections.destinations.files.options import FolderOptions
from vcon_platform.projections.model import Projection


class LinesOptions(FolderOptions):
    """Options of a projection's folder of text files."""

    compression: Literal["none", "gzip"] = Field(
        default="none", title="Compression", description="gzip: the files' names end with .gz."
    )


def options_of(projection: Projection, kind: str) -> LinesOptions:
    """The options that concern compression, whatever else a kind has."""
    given = projection.options_for(kind)
    return LinesOptions(compression=cast("Literal['none', 'gzip']", given.get("compression", "none")))


def suffix(projection: Projection, kind: str) -> str:
    """.gz where the files are compressed."""
    return ".gz" if options_of(projection, kind).compression == "gzip" else ""


def packed(projection: Projection, kind: str, text: str) -> bytes:
    """The file's bytes. The same text gives the same bytes."""
    data = text.encode()
    return gzip.compress(data, 6, mtime=0) if suffix(projection, kind) else data


def unpacked(projection: Projection, kind: str, data: bytes) -> str:
    """The file's text. Raises ValueError or OSError where it is none."""
    return (gzip.decompress(data) if suffix(projection, kind) else data).decode()


def columns(projection: Projection) -> list[str]:
    """The declared columns and the bookkeeping ones."""
    return [*(column.name for column in projection.columns), "_day", "_row_hash", "_landed_at"]

"""The version in which a document goes to a client of py_vcon_server.

Belongs here: that choice. Not here: writing a version (``vcon/export.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vcon_platform.vcon.export import ExportVersion, export

ADAPTER = "py_vcon"
"""The name under which this API takes documents in."""
Asked = Literal["posted", "current", "0.4.0", "0.0.2", "0.0.1"]
_OLD: Mapping[str, ExportVersion] = {"0.0.1": "0.0.1", "0.0.2": "0.0.2"}


def version_for(meta: Mapping[str, str], asked: Asked = "posted") -> ExportVersion:
    """The version to write a stored vCon in, by what is kept beside it."""
    if asked != "posted":
        return asked
    if meta.get("adapter") != ADAPTER:
        return "0.0.2"
    return _OLD.get(meta.get("source_version", ""), "0.4.0")


def written(data: Mapping[str, Any], meta: Mapping[str, str], asked: Asked = "posted") -> dict[str, Any]:
    """The document in that version."""
    return export(data, version_for(meta, asked))

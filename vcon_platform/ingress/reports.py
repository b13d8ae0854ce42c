"""The conformance report of a stored vCon: put together when somebody asks.

Belongs here: gathering what the report is made from. Not here: what it says (``vcon/conformance.py``).
"""

from __future__ import annotations

from typing import Any

import orjson

from vcon_platform.store.documents import Missing
from vcon_platform.store.opening import Store
from vcon_platform.vcon.conformance import Report, report
from vcon_platform.vcon.faults import Finding


def report_of(store: Store, uuid: str) -> Report:
    """The report on what was posted last under this uuid. Raises :class:`Missing`."""
    meta, posted = store.documents.meta(uuid), store.documents.history(uuid).posted()
    if posted is None or posted.view is None:
        raise Missing(f"vCon {uuid} is not in the store")
    meta = {**posted.meta, **meta}
    found: list[list[str]] = orjson.loads(meta.get("findings") or b"[]")
    return report(
        orjson.loads(posted.view),
        [Finding(code, pointer, message) for code, pointer, message in found],
        original=_unsigned(posted.original.skeleton) if posted.original and not posted.original.splices else None,
        signature=meta.get("signature"),
        source_version=meta.get("source_version"),
        parked=tuple(filter(None, meta.get("parked", "").split(","))),
        opaque=meta.get("state") == "opaque",
    )


def _unsigned(raw: bytes) -> dict[str, Any] | None:
    """The document as it came, where it is at hand: an unsigned one without bodies that were moved aside."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and "uuid" in value else None

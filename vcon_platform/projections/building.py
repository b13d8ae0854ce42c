"""Building rows: from a document and an outcome to the values of every column.

Belongs here: which conversations have rows, and putting extractors, filters and masks together. Not here: how rows
travel (``rows.py``), what one extractor or filter gives.

Pure: the same document, outcome, declaration and key give the same rows. A hostile document harms its own rows only: a
value that cannot be had is marked in its row (:data:`FAULTS`), and the row is told, not landed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from vcon_platform.projections.bare import bare_document
from vcon_platform.projections.errors import RowError
from vcon_platform.projections.expressions import FAILED, Failed, ask
from vcon_platform.projections.extract import Extractor, adapter_names
from vcon_platform.projections.grains import Around, Element, as_json, elements
from vcon_platform.projections.masking import key_of, masked
from vcon_platform.projections.model import FAULTS, Column, Projection, Source
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.sources import resolve
from vcon_platform.projections.values import without_nul
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags


def row_values(projection: Projection, vcon: Vcon, outcome: Outcome) -> list[dict[str, Any]]:
    """The rows of this conversation, column by column; none where the declaration gives it none. Never raises for what
    a document holds."""
    if not _belongs(projection.source, vcon):
        return []
    each = projection.each
    found = _elements(projection, vcon, outcome)
    expressions = {column.name: column.jq for column in projection.columns if column.jq}
    asks = bool(expressions or each or projection.source.where)
    answered = ask(
        bare_document(vcon) if asks else {},
        asdict(outcome),
        [as_json(element.value) for element in found] if asks else [],
        where=projection.source.where,
        each=each,
        columns=expressions,
    )
    if answered.where is False:
        return []
    if isinstance(answered.where, Failed) or isinstance(answered.elements, Failed):
        return [{projection.uuid_column: vcon.uuid, FAULTS: [""]}]
    if each:
        found = [Element(position, value) for position, value in enumerate(answered.elements)]
    return _rows(projection, vcon, outcome, found, answered.columns)


def _elements(projection: Projection, vcon: Vcon, outcome: Outcome) -> list[Element]:
    if not projection.listed:
        return [] if projection.each else elements(vcon, projection.grain_name)
    extractor = resolve(projection.listed)
    assert isinstance(extractor, Extractor)  # noqa: S101 - the declaration was checked
    value = _sound(partial(extractor.extract, vcon, outcome))
    return [Element(position, each) for position, each in enumerate(value)] if isinstance(value, list) else []


def _belongs(source: Source, vcon: Vcon) -> bool:
    if source.adapters and not any(name in source.adapters for name in adapter_names(vcon)):
        return False
    if not source.tags:
        return True
    pinned = {form for name, value in tags(vcon) for form in (name, f"{name}:{value}")}
    return not pinned.isdisjoint(source.tags)


def _rows(
    projection: Projection, vcon: Vcon, outcome: Outcome, found: list[Element], asked: Mapping[str, Any]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in found]
    mask, around = _mask(projection), Around(vcon)
    for column in projection.columns:
        name = column.name
        if column.jq:
            values = [*asked[name], *[FAILED] * len(rows)][: len(rows)]  # `now` in a filter may give another number
        else:
            extractor = resolve(column.source)
            if isinstance(extractor, Extractor):  # the conversation's own: the same in all of its rows
                value = _sound(partial(extractor.extract, vcon, outcome)) if rows else None
                values = [value] * len(rows)
            else:
                values = [_sound(partial(extractor.extract, around, element)) for element in found]
        for row, value in zip(rows, values, strict=True):
            if value is not FAILED and column.mask is not None:
                value = mask(value, column)
            if value is FAILED:
                row.setdefault(FAULTS, []).append(name)
            row[name] = None if value is FAILED else value
    return rows


def _sound(extract: Any) -> Any:
    """A value that can be carried: without U+0000, and not nested deeper than JSON may be. Text is taken as it is."""
    value = extract()
    if isinstance(value, dict | list):
        try:
            orjson.dumps(value)
        except TypeError:
            return FAILED
    return without_nul(value)


def _mask(projection: Projection) -> Any:
    keys: dict[str, bytes | None] = {}

    def mask(value: Any, column: Column) -> Any:
        assert column.mask is not None  # noqa: S101 - asked for
        if column.mask == "hash" and "key" not in keys:
            try:
                keys["key"] = key_of(projection.pii_key)
            except RowError:
                keys["key"] = None
        key = keys.get("key", b"")
        return FAILED if key is None else masked(value, column.mask, key)

    return mask

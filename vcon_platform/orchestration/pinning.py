"""A run executes the definitions its code server had loaded, not what lies in the folder by then.

Every run process imports the code location again. Read at plain import, a definition that was edited without a reload
would make the next run execute the old plan with the new text and end green (measured; reference/dagster.md). So the
texts travel with the run: Dagster keeps them in the run's plan snapshot and hands them back on reconstruction.

One private module of Dagster (1.13.27) is used here and nowhere else; ``tests/orchestration`` covers it.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

KEY = "vcon_platform/definitions"

Texts = dict[str, dict[str, str]]
"""Room (pipelines, projections, adapters…) to name to text."""


def pinned(read: Callable[[], Texts]) -> Texts:
    """The texts this process must use: those the run was planned with, else what ``read`` gives now."""
    context = DefinitionsLoadContext.get()
    metadata = context.reconstruction_metadata if context.load_type is DefinitionsLoadType.RECONSTRUCTION else {}
    texts: Texts = orjson.loads(metadata[KEY]) if KEY in metadata else read()
    # One canonical string, so that the same definitions give the same snapshot.
    context.add_to_pending_reconstruction_metadata(KEY, orjson.dumps(texts, option=orjson.OPT_SORT_KEYS).decode())
    return texts

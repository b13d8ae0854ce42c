"""vcon-platform: conversations captured as vCons, processed by Dagster, landed as rows.

This package is the library (how it works). What exists in a deployment stands beside it in
``assets/``, ``resources/`` and ``sensors/``; ``definitions.py`` is where the two meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd

__version__ = "0.1.0"


def read_projection(
    name: str,
    day_from: date | str,
    day_to: date | str,
    *,
    destination: str = "",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows of a projection on these UTC days (both included) as a DataFrame; see
    :func:`vcon_platform.projections.reading.read_projection`."""
    from vcon_platform.projections import reading

    return reading.read_projection(name, day_from, day_to, destination=destination, columns=columns)

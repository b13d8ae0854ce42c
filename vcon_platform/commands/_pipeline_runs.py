"""``vcon-platform pipelines run`` and ``simulate``: one conversation through one pipeline, now and here.

Belongs here: printing, and putting the pieces together. What happens to the conversation is decided in
:mod:`vcon_platform.pipelines.direct` and :mod:`vcon_platform.pipelines.simulate`.
"""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs to the group ``pipelines``."""

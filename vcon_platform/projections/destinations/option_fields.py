"""Options that several kinds of destination have, each written once.

Belongs here: a field's words, limits and marks for who shows it. Not here: what a reference may name, which each kind
says itself (``references.reference``).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field


def secret(title: str, description: str, default: str = "") -> Any:
    """A reference to something secret, ``env:NAME``; forms show no value of it."""
    return Field(default=default, title=title, description=description, json_schema_extra={"secret": True})


def seconds_to_answer(description: str, default: float = 60.0, most: float = 600) -> Any:
    """Seconds that are waited for an answer."""
    return Field(
        default=default,
        ge=1,
        le=most,
        title="Time for an answer",
        description=description,
        json_schema_extra={"unit": "seconds"},
    )

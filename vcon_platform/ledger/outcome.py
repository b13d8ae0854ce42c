"""How a conversation's way through a pipeline ended: what the verdict columns of rows are filled from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["done", "filtered", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``reason`` was written for the ledger (no personal data); ``processor`` is the one that filtered or failed."""

    pipeline: str
    pipeline_version: str
    verdict: Verdict
    reason: str = ""
    processor: str | None = None

"""The outcome that rows are made from, under the name by which this room knows it; the ledger can tell it later."""

from __future__ import annotations

from vcon_platform.ledger.outcome import Outcome as Outcome
from vcon_platform.ledger.outcome import Verdict as Verdict

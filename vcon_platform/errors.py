"""The root of every error this platform raises on purpose.

Rooms define their own subclasses beside the code that raises them; only the common root lives here.
A message says what is wrong, where, and what to do next, and never holds personal data: it ends up in
the ledger, in Dagster's event log and on terminals.
"""

from __future__ import annotations


class PlatformError(Exception):
    """Something the platform can explain. ``str(error)`` is fit to show to an operator.

    ``transient``: the same may succeed soon, without anybody doing anything, so it is worth another try."""

    transient = False

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


def trace_of(error: BaseException) -> str:
    """Where an error came from: its class and lines of code, and those of its causes. Without any error's text: that of
    a library or a plugin may quote what people said, and what is printed is kept."""
    import traceback

    told: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        told.append(f"{type(at).__name__}, raised by\n" + "".join(traceback.format_tb(at.__traceback__)).rstrip())
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\ncaused by ".join(told)

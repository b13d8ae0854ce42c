"""Values that stand in the environment and not in a declaration: keys, passwords, addresses of services.

Belongs here: what a reference looks like, which variables one option may name, reading it. A declaration (of a
pipeline, of a projection) is stored, shown and compared, so a secret never stands in it; its author need not know it
either. Each option may name variables of its own kind only (``OPENAI_...``) or those made for it (``VCON_SECRET_...``):
else whoever may write a definition could have the database's password sent to a server of theirs.

References are read when they are used, by the process that uses them: a key that was changed counts at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_NAME = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,99})")


def reference(*prefixes: str) -> Callable[[str], str]:
    """A validator: "" or ``env:NAME``, where NAME begins with one of these or with ``VCON_SECRET_``."""
    allowed = (*prefixes, "VCON_SECRET_")

    def check(value: str) -> str:
        if not value:
            return value
        found = _NAME.fullmatch(value)
        if found is None:  # the value may be the secret itself: it is not repeated
            raise ValueError(f"must be a reference: write env:NAME and set the variable NAME ({_any(allowed)})")
        if not found[1].startswith(allowed):
            raise ValueError(f"may not name the variable {found[1]}: only {_any(allowed)}")
        return value

    return check


def _any(prefixes: tuple[str, ...]) -> str:
    return " or ".join(f"{prefix}..." for prefix in prefixes)


def value_of(reference: str) -> str | None:
    """What a reference stands for, or None: it is empty, or its variable is not set or empty."""
    found = _NAME.fullmatch(reference)
    return (os.environ.get(found[1], "").strip() or None) if found else None


def variable_of(reference: str) -> str | None:
    """The name of the variable, or None: this is no reference."""
    found = _NAME.fullmatch(reference)
    return found[1] if found else None

"""The type of an option that names a language.

Belongs here: which texts are names of languages (BCP 47 tags), and when two mean the same. Not here: what is done in a
language (``translate.py``).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

TAG = r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}"
"""One, as a pattern."""

Language = Annotated[str, StringConstraints(strip_whitespace=True, pattern=rf"^{TAG}$")]
"""``en``, ``de-CH``, ``zh-Hant``."""
LanguageOrNone = Annotated[str, StringConstraints(strip_whitespace=True, pattern=rf"^(?:{TAG})?$")]
"""The same, or empty."""


def same_language(one: str, other: str) -> bool:
    """True if both tags name the same language; a tag without a region or script means any."""
    first, second = one.casefold().split("-"), other.casefold().split("-")
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]

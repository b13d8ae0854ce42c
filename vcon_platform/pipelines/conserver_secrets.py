"""Secrets out of a conserver's configuration: it keeps them as plain texts, we name an environment variable instead.

Belongs here: finding them by the names of their options and the look of their values. What is taken for one and is
none does no harm: its value comes from the environment then. No value ever leaves this module.
"""

from __future__ import annotations

import re
from typing import Any

_NAMED = re.compile(
    r"(^|[_-])(api[_-]?key|key|apikey|secret|password|passwd|token|pem|credentials?|authorization)$"
    r"|^deepgram[_-]?key|private[_-]?key|access[_-]?key|master[_-]?key|signing[_-]?key[_-]?pem",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"^(sk|pk|rk|xox[abp]|ghp|AKIA)[-_A-Za-z0-9]{12,}$|^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@|-----BEGIN "
)
_EXPANDED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def without_secrets(value: Any, prefix: str) -> tuple[Any, dict[str, tuple[str | int, ...]]]:
    """The value with ``env:NAME`` in place of each secret, and each name with the place it stood at. Names are made of
    ``prefix`` and that place; ``${NAME}`` (which the conserver never expanded) keeps its own."""
    found: dict[str, tuple[str | int, ...]] = {}
    return _walk(value, prefix, (), found), found


def _walk(value: Any, prefix: str, at: tuple[str | int, ...], found: dict[str, tuple[str | int, ...]]) -> Any:
    if isinstance(value, dict):
        return {key: _walk(inner, prefix, (*at, key), found) for key, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, prefix, (*at, index), found) for index, inner in enumerate(value)]
    if not isinstance(value, str) or not value or value.startswith("env:"):
        return value
    if reference := _EXPANDED.fullmatch(value):
        found[reference[1]] = at
        return f"env:{reference[1]}"
    name = next((part for part in reversed(at) if isinstance(part, str)), "")
    if not _NAMED.search(name) and not _LOOKS.search(value):
        return value
    variable = re.sub(r"[^A-Z0-9]+", "_", "_".join([prefix, *map(str, at)]).upper()).strip("_")
    while variable in found:
        variable += "_"
    found[variable] = at
    return f"env:{variable}"

"""Which adapters there are, and the ones this installation uses.

Adapters come in by the entry points of ``vcon_platform.adapters``, the built-in ones like a stranger's. Nothing is
registered at import: call :func:`adapter_kinds` or :func:`load_adapters` where a process starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from vcon_platform.adapters.base import Adapter, AdapterError
from vcon_platform.adapters.settings import read_settings

ENTRY_POINTS = "vcon_platform.adapters"


def adapter_kinds() -> dict[str, type[Adapter]]:
    """Every installed adapter class by its kind. Raises :class:`AdapterError` naming the entry point that is wrong."""
    kinds: dict[str, type[Adapter]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name):
        try:
            kind = point.load()
        except (ImportError, AttributeError) as error:
            raise AdapterError(f"adapter {point.name!r} ({point.value}) cannot be loaded: {error}") from error
        if not (isinstance(kind, type) and issubclass(kind, Adapter)):
            raise AdapterError(f"adapter {point.name!r} ({point.value}) is not a subclass of Adapter")
        if kind.name != point.name:
            raise AdapterError(f"adapter {point.name!r} ({point.value}) calls itself {kind.name!r}; they must agree")
        kinds[point.name] = kind
    return kinds


@dataclass(frozen=True, slots=True)
class Adapters:
    """The enabled adapters by their names; ``broken`` says of each file that cannot be used what is wrong with it."""

    adapters: Mapping[str, Adapter]
    broken: Mapping[str, AdapterError]


def load_adapters(
    texts: Mapping[str, str],
    base: Path,
    environ: Mapping[str, str] | None = None,
    kinds: Mapping[str, type[Adapter]] | None = None,
) -> Adapters:
    """The adapters that these settings files (name to text; ``pipelines/adapters``) declare.

    ``base`` is where relative folders in the files start (the data folder); ``environ`` resolves ``env:NAME``
    (default: the process's environment); ``kinds`` defaults to what is installed. A file that is wrong takes no other
    one down.
    """
    chosen = adapter_kinds() if kinds is None else kinds
    models = {name: kind.settings_model for name, kind in chosen.items()}
    adapters: dict[str, Adapter] = {}
    broken: dict[str, AdapterError] = {}
    for file, text in sorted(texts.items()):
        try:
            settings = read_settings(file, text, models, base, os.environ if environ is None else environ)
            if settings.name in adapters:
                raise AdapterError(f"{file}: name: {settings.name!r} is taken by another file; give it another")
            if settings.enabled:
                adapters[settings.name] = chosen[settings.adapter](settings)
        except AdapterError as error:
            broken[file] = error
    return Adapters(adapters, broken)

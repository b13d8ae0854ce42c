"""Which adapters there are, and the ones this installation uses.

Adapters come in by the entry points of ``vcon_platform.adapters``, the built-in ones like a stranger's. Nothing is
registered at import: call :func:`adapter_kinds` or :func:`load_adapters` where a process starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from vcon_platform.adapters.base import Adapter, AdapterError
from vcon_platform.adapters.settings import read_all_settings

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


def load_adapters(
    folder: Path,
    base: Path,
    environ: Mapping[str, str] | None = None,
    kinds: Mapping[str, type[Adapter]] | None = None,
) -> dict[str, Adapter]:
    """The enabled adapters that ``folder`` (``pipelines/adapters``) declares, by their names.

    ``base`` is where relative folders in the files start (the data folder); ``environ`` resolves ``env:NAME``
    (default: the process's environment); ``kinds`` defaults to what is installed. Raises ``AdapterSettingsError``.
    """
    chosen = adapter_kinds() if kinds is None else kinds
    models = {name: kind.settings_model for name, kind in chosen.items()}
    settings = read_all_settings(folder, models, base, os.environ if environ is None else environ)
    return {each.name: chosen[each.adapter](each) for each in settings if each.enabled}

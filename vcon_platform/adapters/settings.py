"""Adapter settings files: YAML to typed settings.

Belongs here: reading ``pipelines/adapters/*.yaml``, refusing what is not understood, resolving ``env:NAME`` and
relative folders. Not here: what a setting means (each adapter's ``settings_model``), which adapters there are
(``registry.py``).

A file that says something the adapter does not know is refused, not half-obeyed: a misspelt ``recording_folder``
would otherwise mean months of calls without audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, ValidationError, ValidationInfo

from vcon_platform.adapters.base import AdapterError, AdapterSettings

_BASE = "base_folder"


class AdapterSettingsError(AdapterError):
    """A settings file cannot be used; the message names the file, the setting and the cure."""


def _under_base(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get(_BASE)
    return path if base is None else Path(base) / path


Folder = Annotated[Path, AfterValidator(_under_base)]
"""A folder in a settings model: relative ones start at the base folder given to :func:`read_settings`."""


def read_settings(
    file: str, text: str, models: Mapping[str, type[AdapterSettings]], base: Path, environ: Mapping[str, str]
) -> AdapterSettings:
    """The settings in one file's text. ``models`` maps each kind of adapter to its settings model; ``base`` is where
    relative folders start. ``name`` defaults to the file's name. Raises :class:`AdapterSettingsError`."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AdapterSettingsError(f"{file}: cannot be read as YAML: {error}") from None
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise AdapterSettingsError(f"{file}: must be a mapping of settings, starting with 'adapter: KIND'")
    kind = document.get("adapter")
    if not isinstance(kind, str) or kind not in models:
        known = ", ".join(sorted(models)) or "none"
        raise AdapterSettingsError(f"{file}: adapter: {kind!r} is no known kind of adapter. Known: {known}")
    resolved = {key: _resolve(value, f"{file}: {key}", environ) for key, value in document.items()}
    try:
        return models[kind].model_validate({"name": Path(file).stem} | resolved, context={_BASE: base})
    except ValidationError as error:
        raise AdapterSettingsError(_explain(file, models[kind], error)) from None


def _resolve(value: Any, place: str, environ: Mapping[str, str]) -> Any:
    """``env:NAME`` references, anywhere in the file, so that no secret has to stand in it."""
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in environ:
            raise AdapterSettingsError(f"{place}: the environment variable {name} is not set")
        return environ[name]
    if isinstance(value, dict):
        return {key: _resolve(item, f"{place}.{key}", environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, f"{place}[{index}]", environ) for index, item in enumerate(value)]
    return value


def _explain(file: str, model: type[AdapterSettings], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):  # an input may be a resolved secret
        place = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            close = get_close_matches(place, model.model_fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(model.model_fields))}"
            lines.append(f"{file}: {place}: there is no such setting; {hint}")
        else:
            lines.append(f"{file}: {place}: {problem['msg']}")
    return "\n".join(lines)

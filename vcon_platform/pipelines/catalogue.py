"""The catalogue: every pipeline definition of this deployment, the good and the broken.

A broken definition never takes another one down: it stands in ``broken`` with its text of errors, and shows so in
the UI. Reading (``sources``) and checking (``catalogue``) are apart, because a run must check exactly the text that
its code server had read, not what lies in the folder by then (``definitions.py`` pins it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.definition import Definition, DefinitionError, read_definition
from vcon_platform.processors.registry import Registry

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Pipelines by name, in order of their names. ``broken`` has the fault of each definition that cannot be used;
    those of them in ``fallen_back`` run on, as the version that was last good."""

    pipelines: Mapping[str, Definition]
    broken: Mapping[str, str]
    fallen_back: frozenset[str] = frozenset()

    def queues(self) -> set[str]:
        """Every queue that means something here. A broken pipeline's own is among them: what waits in it is worked on
        once the definition is mended."""
        return {queue for definition in self.pipelines.values() for queue in definition.queues} | set(self.broken)

    def get(self, name: str) -> Definition:
        """One pipeline. Raises :class:`DefinitionError` saying what is known, or what is wrong with it."""
        if name in self.pipelines:
            return self.pipelines[name]
        if name in self.broken:
            raise DefinitionError(f"pipeline {name!r} is broken: {self.broken[name]}")
        raise DefinitionError(f"there is no pipeline {name!r}; there are {', '.join(self.pipelines) or 'none'}")


def sources(folder: Path) -> dict[str, str]:
    """File name to text of every definition file in a folder (not in its sub folders)."""
    if not folder.is_dir():
        return {}
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES}


def parse_text(file: str, text: str) -> Any:
    """The value of a YAML or JSON text. Raises :class:`PlatformError` with the place of the fault."""
    import yaml

    try:
        return orjson.loads(text) if file.endswith(".json") else yaml.safe_load(text)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise PlatformError(f"{file} cannot be read: {' '.join(str(error).split())}") from None


def catalogue(texts: Mapping[str, str], registry: Registry) -> Catalogue:
    """Check the definitions in these files; a pipeline is named after its file."""
    pipelines: dict[str, Definition] = {}
    broken: dict[str, str] = {}
    for file in sorted(texts):
        name = Path(file).stem
        try:
            if name in pipelines or name in broken:
                raise DefinitionError(f"two files define pipeline {name!r}; keep one of them")
            pipelines[name] = read_definition(name, parse_text(file, texts[file]), registry)
        except PlatformError as error:
            broken[name] = f"{file}: {error}"
            pipelines.pop(name, None)
    return Catalogue(pipelines, broken)

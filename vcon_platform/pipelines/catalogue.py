"""The catalogue: every pipeline definition of this deployment, the good and the broken.

A broken definition never takes another one down: it stands in ``broken`` with its text of errors, and shows so in
the UI. Where the version is known that was in use before it broke, that one runs on. Reading (``current.py``) and
checking (``catalogue``) are apart, because a run must check exactly the texts that its code server had read, not what
there is by then (``orchestration/pinning.py``).

An older version than the one in use last is never fallen back to, not even when that one cannot run any more because a
processor is gone: it was replaced on purpose, perhaps because it sent what must not be sent. Jobs then wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.definition import Definition, DefinitionError, Source, read_definition
from vcon_platform.pipelines.texts import parse_text, sources
from vcon_platform.pipelines.wiring import without_bad_feeds
from vcon_platform.processors.registry import Registry

__all__ = ["Catalogue", "catalogue", "parse_text", "sources"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Pipelines by name, in order of their names. ``broken`` has the fault of each definition that cannot be used;
    those of them in ``fallen_back`` run on, as the version that was last good. ``warnings``: what is to be told of
    pipelines that can be used."""

    pipelines: Mapping[str, Definition]
    broken: Mapping[str, str]
    fallen_back: frozenset[str] = frozenset()
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stands_in: Mapping[str, Source] = field(default_factory=dict)
    """Where each definition stands, the broken ones' too."""

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


@dataclass(frozen=True, slots=True)
class _Text:
    name: str
    file: str
    text: str
    source: Source
    unreadable: str = ""

    def read(self, registry: Registry) -> Definition:
        if self.unreadable:
            raise DefinitionError(self.unreadable)
        return read_definition(self.name, parse_text(self.file, self.text), registry, self.source)


def catalogue(
    texts: Mapping[str, str],
    registry: Registry,
    *,
    stored: Mapping[str, str] | None = None,
    last_good: Mapping[str, str] | None = None,
    unreadable: Mapping[str, str] | None = None,
) -> Catalogue:
    """Check definitions: files (name of the file to text; a pipeline is named after its file) and what is ``stored``
    (name to JSON; a file of that name wins). ``unreadable``: stored ones that could not even be read, and why.
    ``last_good``: name to the JSON of the version that was in use last."""
    found: dict[str, Definition] = {}
    broken: dict[str, str] = {}
    fallen_back: set[str] = set()
    stands_in: dict[str, Source] = {}
    for name, told in _candidates(texts, stored or {}, unreadable or {}):
        stands_in[name] = told[0].source
        try:
            if len(told) > 1:
                raise DefinitionError(f"two files define pipeline {name!r}; keep one of them")
            found[name] = told[0].read(registry)
        except PlatformError as error:
            broken[name] = f"{told[0].file}: {error}"
            if before := _last_good(name, told[0].source, (last_good or {}).get(name), registry):
                found[name] = before
                fallen_back.add(name)
                broken[name] += f". Its last good version ({before.version}) runs on until this is mended."
    pipelines, told_of = without_bad_feeds(found)
    for name in sorted(set(stored or {}) & {Path(file).stem for file in texts}):
        told_of.setdefault(name, []).append("a stored definition of this name is not in use: the file wins")
    return Catalogue(
        dict(sorted(pipelines.items())),
        broken,
        frozenset(fallen_back),
        {name: tuple(told) for name, told in sorted(told_of.items())},
        stands_in,
    )


def _candidates(
    texts: Mapping[str, str], stored: Mapping[str, str], unreadable: Mapping[str, str]
) -> Iterator[tuple[str, list[_Text]]]:
    """Each name with what defines it: one text, or several files."""
    files: dict[str, list[_Text]] = {}
    for file in sorted(texts):
        name = Path(file).stem
        files.setdefault(name, []).append(_Text(name, file, texts[file], "file"))
    for name in sorted({*files, *stored, *unreadable}):
        label = f"{name} (stored)"
        yield (
            name,
            files.get(name) or [_Text(name, f"{label}.json", stored.get(name, ""), "stored", unreadable.get(name, ""))],
        )


def _last_good(name: str, source: Source, text: str | None, registry: Registry) -> Definition | None:
    if text is None:
        return None
    try:
        return read_definition(name, parse_text(f"{name}.json", text), registry, source)
    except PlatformError:
        return None

"""The folder of declarations: reads every file, keeps the good ones, says what is wrong with the others.

Belongs here: files, and rules that hold between declarations. A rule about one declaration is in ``model.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.errors import ProjectionError, ProjectionInvalid
from vcon_platform.projections.explain import problems
from vcon_platform.projections.model import Projection

_SUFFIXES = (".yaml", ".yml", ".json")


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a member may be given once. Plain PyYAML lets the last one win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                name = self.construct_object(key)
                if not isinstance(name, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, "a member's name must be text; quote it", key.start_mark
                    )
                if name in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", key.start_mark)
                seen.add(name)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class ProjectionCatalogue(Mapping[str, Projection]):
    """The projections by name; ``broken`` holds the files that could not be used, each with its error."""

    projections: Mapping[str, Projection]
    broken: Mapping[str, ProjectionError] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Projection:
        return self.projections[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.projections)

    def __len__(self) -> int:
        return len(self.projections)


def parse_projection(text: str, source: str) -> Projection:
    """One declaration (YAML or JSON) from its text. ``source`` names it in messages. Raises
    :class:`ProjectionInvalid`."""
    try:
        data = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ProjectionInvalid(source, [f"{where}{error.problem or 'not YAML'}"]) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ProjectionInvalid(source, ["not YAML: it holds characters or values that YAML does not allow"]) from None
    if not isinstance(data, dict):
        raise ProjectionInvalid(source, ["/ must be a mapping with the members name, columns, destinations ..."])
    try:
        projection = Projection.model_validate(data)
    except ValidationError as error:
        raise ProjectionInvalid(source, problems(error, Projection)) from None
    for place, ref in enumerate(projection.destinations):
        try:
            kind = destination_kind(ref.kind)
        except ProjectionError as error:
            raise ProjectionInvalid(source, [f"/destinations/{place} {error}"]) from None
        try:
            kind.check(projection)
        except ProjectionInvalid as error:
            raise ProjectionInvalid(source, error.problems) from None
    return projection


def load_projections(folder: Path) -> ProjectionCatalogue:
    """Every declaration of a folder; see :func:`read_projections`. A missing folder holds no projections."""
    texts: dict[str, str] = {}
    unreadable: dict[str, ProjectionError] = {}
    for path in sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES):
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = f"cannot be read as UTF-8 text: {type(error).__name__}"
            unreadable[path.name] = ProjectionInvalid(path.name, [reason])
    found = read_projections(texts)
    return ProjectionCatalogue(dict(found), {**found.broken, **unreadable})


def read_projections(texts: Mapping[str, str]) -> ProjectionCatalogue:
    """Every declaration of these files (name to text), in the order of file names. A broken file takes no other down:
    it is in ``broken`` with a message that says where and what."""
    good: dict[str, Projection] = {}
    targets: dict[tuple[str, str], str] = {}
    broken: dict[str, ProjectionError] = {}
    for file, text in sorted(texts.items()):
        try:
            projection = parse_projection(text, file)
            if projection.name in good:
                raise ProjectionInvalid(file, [f"/name {projection.name!r} is declared by another file too"])
            filled = {
                (ref.kind, destination_kind(ref.kind).target(projection)): place
                for place, ref in enumerate(projection.destinations)
            }
            for target, place in filled.items():
                if target in targets:  # each would delete the other's rows
                    raise ProjectionInvalid(
                        file,
                        [f"/destinations/{place} {target[1]} is filled by projection {targets[target]!r} already"],
                    )
        except ProjectionError as error:
            broken[file] = error
        else:
            good[projection.name] = projection
            targets |= dict.fromkeys(filled, projection.name)
    return ProjectionCatalogue(good, broken)

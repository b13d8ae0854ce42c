"""What several definitions mean to each other: feeds and queues that would make a job run twice, or for ever, and
projections that are not there.

Belongs here: faults that no definition shows by itself. They are refused where somebody writes a definition. Found
when definitions are loaded (two files, each good), they take no pipeline down: a feed that cannot be is left out and
told, a circle of queues is only told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.faults import DefinitionFault, pointer, unknown
from vcon_platform.processors.projection import ProjectionOptions
from vcon_platform.projections.catalogue import ProjectionCatalogue


@dataclass(frozen=True, slots=True)
class Wiring:
    """``faults``: why a definition may not be written. ``warnings``: what its author should know."""

    faults: tuple[DefinitionFault, ...]
    warnings: tuple[DefinitionFault, ...]


def wiring(definition: Definition, others: Mapping[str, Definition]) -> Wiring:
    """How a definition stands to the others (itself, in an older version, may be among them)."""
    rest = {name: other for name, other in others.items() if name != definition.name}
    faults = [
        DefinitionFault(
            pointer("pipeline_options", "feeds", index),
            f"{feed!r} is the own queue of another pipeline, which would take its jobs away; put a queue of another "
            "name into the feeds of both",
        )
        for index, feed in enumerate(definition.options.feeds)
        if feed in rest
    ]
    faults += [
        DefinitionFault("", f"pipeline {name!r} has {definition.name!r} among its feeds; rename this one, or that feed")
        for name, other in rest.items()
        if definition.name in other.options.feeds
    ]
    if circle := _circle(definition, rest):
        faults.append(
            DefinitionFault(
                "/pipeline_options/success_queue",
                f"a job would go round for ever: {' → '.join(circle)}; let one of them end elsewhere",
            )
        )
    return Wiring(tuple(faults), tuple(_nowhere(definition, rest)))


def undeclared(definition: Definition, declared: ProjectionCatalogue) -> Iterator[DefinitionFault]:
    """The steps that write rows of a projection which nobody declares: every conversation would fail there."""
    broken = f"; not to be used as they are: {', '.join(declared.broken)}" if declared.broken else ""
    for index, step in enumerate(definition.steps):
        if isinstance(step.options, ProjectionOptions) and step.options.projection not in declared:
            yield DefinitionFault(
                pointer("processors", index, "processor_options", "projection"),
                unknown(step.options.projection, sorted(declared) or ["none"], "projection") + broken,
            )


def without_bad_feeds(definitions: Mapping[str, Definition]) -> tuple[dict[str, Definition], dict[str, list[str]]]:
    """The definitions with such feeds left out as cannot be, and by name what is to be told."""
    kept: dict[str, Definition] = {}
    told: dict[str, list[str]] = {}
    for name, definition in definitions.items():
        bad = [feed for feed in definition.options.feeds if feed in definitions]
        for feed in bad:
            told.setdefault(name, []).append(
                f"its feed {feed!r} is not in use: a pipeline of that name takes the jobs of that queue; rename one"
            )
        feeds = tuple(feed for feed in definition.options.feeds if feed not in bad)
        kept[name] = (
            replace(definition, options=definition.options.model_copy(update={"feeds": feeds})) if bad else definition
        )
    for name, definition in kept.items():
        if circle := _circle(definition, {other: each for other, each in kept.items() if other != name}):
            told.setdefault(name, []).append(f"a job that succeeds goes round for ever: {' → '.join(circle)}")
    return kept, told


def _circle(definition: Definition, rest: Mapping[str, Definition]) -> list[str] | None:
    """The pipelines through which a job that always succeeds comes back to this one."""
    serving: dict[str, list[str]] = {}
    for name, other in {**rest, definition.name: definition}.items():
        for queue in (name, *other.options.feeds):
            serving.setdefault(queue, []).append(name)
    everyone = {**rest, definition.name: definition}
    ways, seen = [[definition.name]], set[str]()
    while ways:
        way = ways.pop()
        queue = everyone[way[-1]].options.success_queue or ""
        for following in sorted(serving.get(queue, [])):
            if following == definition.name:
                return [*way, following]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None


def _nowhere(definition: Definition, rest: Mapping[str, Definition]) -> Iterator[DefinitionFault]:
    worked_on = {definition.name, *definition.options.feeds, *rest}
    worked_on |= {feed for other in rest.values() for feed in other.options.feeds}
    for index, step in enumerate(definition.steps):
        queue = getattr(step.options, "queue_name", None)
        if isinstance(queue, str) and queue and queue not in worked_on:
            yield DefinitionFault(
                pointer("processors", index, "processor_options", "queue_name"),
                f"no pipeline works on queue {queue!r} yet; its jobs wait there until one does",
            )

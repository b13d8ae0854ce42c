"""What a pipeline is: a named, ordered list of processors with options, checked against the processors installed.

Belongs here: what stands in one definition. Not here: what several definitions mean to each other (``wiring.py``),
which texts there are (``texts.py``, ``stored.py``), which of them is in use (``catalogue.py``).

The JSON of py_vcon_server is accepted unchanged (``pipeline_options``, ``processors[].processor_name``,
``processors[].processor_options``), with its nulls. It let any further member pass; here one that is not known is
refused, because it is nearly always a misspelt option, save the remarks ``comment``, ``label`` and ``notes``.

A key or password never stands in a definition: an option that its processor marks as secret
(``json_schema_extra={"secret": True}``) names the environment variable that holds it, as ``env:NAME``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ValidationError

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.faults import DefinitionError, DefinitionFault, model_faults, pointer, unknown
from vcon_platform.pipelines.formatting import TemplateFault
from vcon_platform.pipelines.formatting import parse as parse_template
from vcon_platform.pipelines.names import DAGSTER_WORDS, name_fault, queue_fault
from vcon_platform.pipelines.pipeline_options import PipelineOptions
from vcon_platform.pipelines.texts import MOST_BYTES, not_plain
from vcon_platform.processors.base import Processor, ProcessorOptions
from vcon_platform.processors.describe import secret_options
from vcon_platform.processors.registry import Registry

__all__ = ["Definition", "DefinitionError", "PipelineOptions", "Step", "canonical", "hash_of", "read_definition"]

REMARKS = ("comment", "label", "notes")
MOST_STEPS = 100
SECRET_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[A-Za-z0-9][A-Za-z0-9._-]*")
"""How a definition names a secret: by the environment variable that holds it, or a key by its file in the folder of
keys; which of them an option takes is the processor's to say."""
_STEP_WORDS = DAGSTER_WORDS | {"lease", "settle"}


@dataclass(frozen=True, slots=True)
class Step:
    """One processor of a pipeline. ``name`` is the processor's, with ``_{index}`` when it occurs twice."""

    name: str
    processor: type[Processor[Any]]
    options: ProcessorOptions
    comment: str = ""


Source = Literal["file", "stored"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A pipeline that can run. ``version`` is a hash of ``raw``, the canonical JSON value it was read from; ``source``
    says whether that stands in a file or in Redis."""

    name: str
    options: PipelineOptions
    steps: tuple[Step, ...]
    version: str
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    source: Source = "file"

    def step_named(self, name: str) -> Step | None:
        """The step of this name."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def queues(self) -> tuple[str, ...]:
        """Every queue this definition gives a meaning to: its own, its feeds, where its jobs go afterwards."""
        named = (self.name, *self.options.feeds, self.options.success_queue, self.options.failure_queue)
        return tuple(dict.fromkeys(name for name in named if name))


def hash_of(value: Any) -> str:
    """A short, stable hash of a JSON value: member order does not matter."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as it is kept: as py_vcon_server's readers expect it (both members there, an object of options in
    every processor), without the name, which is that of its key or file."""
    processors = raw.get("processors")
    return {
        **{key: value for key, value in raw.items() if key != "name"},
        "pipeline_options": raw.get("pipeline_options") or {},
        "processors": [
            {**entry, "processor_options": entry.get("processor_options") or {}} if isinstance(entry, dict) else entry
            for entry in (processors if isinstance(processors, list) else [])
        ],
    }


def read_definition(name: str, raw: Any, registry: Registry, source: Source = "file") -> Definition:
    """Check a definition against the processors installed. Raises :class:`DefinitionError` naming every fault."""
    if fault := name_fault(name):
        raise DefinitionError(f"pipeline {name!r}: {fault}")
    if not isinstance(raw, dict):
        raise DefinitionError(DefinitionFault("", "a definition is an object with 'processors' and 'pipeline_options'"))
    if faults := list(not_plain(raw)):
        raise DefinitionError(*faults)
    if len(orjson.dumps(raw)) > MOST_BYTES:
        raise DefinitionError(DefinitionFault("", f"larger than {MOST_BYTES // 1024} KiB; a definition holds no data"))
    members = ("pipeline_options", "processors")
    faults = [
        DefinitionFault(pointer(key), unknown(key, (*members, *REMARKS), "member"))
        for key in sorted(set(raw) - {"name", *members, *REMARKS})
    ]
    if raw.get("name") not in (None, name):
        faults.append(DefinitionFault("/name", f"is not the name it is stored under ({name!r}); leave it out"))
    faults += _remark_faults(raw)
    options = PipelineOptions()
    try:
        options = PipelineOptions.model_validate(_given(raw.get("pipeline_options")))
    except ValidationError as error:
        faults += model_faults(error, PipelineOptions, "pipeline_options")
    else:
        faults += _own_loops(name, options)
    entries = raw.get("processors")
    if not isinstance(entries, list):
        faults.append(DefinitionFault("/processors", "must be a list of {processor_name, processor_options}"))
        entries = []
    elif len(entries) > MOST_STEPS:
        faults.append(DefinitionFault("/processors", f"more than {MOST_STEPS} processors; split the pipeline"))
        entries = []
    steps = _read_steps(entries, registry, faults)
    if faults:
        raise DefinitionError(*faults)
    kept = canonical(raw)
    return Definition(name=name, options=options, steps=tuple(steps), version=hash_of(kept), raw=kept, source=source)


def _given(options: Any) -> Any:
    """Options without the remarks that are null: py_vcon_server's editor writes them so."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        return options
    return {key: value for key, value in options.items() if not (key in REMARKS and value is None)}


def _read_steps(entries: list[Any], registry: Registry, faults: list[DefinitionFault]) -> list[Step]:
    names = [entry.get("processor_name") if isinstance(entry, dict) else None for entry in entries]
    steps: list[Step] = []
    for index, (entry, processor_name) in enumerate(zip(entries, names, strict=True)):
        at = ("processors", index)
        if not isinstance(entry, dict):
            faults.append(DefinitionFault(pointer(*at), "must be an object {processor_name, processor_options}"))
            continue
        members = ("processor_name", "processor_options", *REMARKS)
        faults += [
            DefinitionFault(pointer(*at, key), unknown(key, members, "member"))
            for key in sorted(set(entry) - {*members})
        ]
        faults += _remark_faults(entry, *at)
        if not isinstance(processor_name, str):
            faults.append(DefinitionFault(pointer(*at, "processor_name"), "must be the name of a processor"))
            continue
        try:
            processor = registry.get(processor_name)
        except PlatformError as error:
            faults.append(DefinitionFault(pointer(*at, "processor_name"), str(error)))
            continue
        given = _given(entry.get("processor_options"))
        found = list(_secret_faults(processor.options, given, *at)) + list(
            _format_faults(processor.options, given, *at)
        )
        try:
            options = processor.options.model_validate(given)
        except ValidationError as error:
            told = {fault.pointer for fault in found}
            more = model_faults(error, processor.options, *at, "processor_options")
            found += [fault for fault in more if fault.pointer not in told]
        if found:
            faults += found
            continue
        alone = names.count(processor_name) == 1 and processor_name not in _STEP_WORDS
        step_name = processor_name if alone else f"{processor_name}_{index}"
        while any(step.name == step_name for step in steps):
            step_name += f"_{index}"
        steps.append(Step(step_name, processor, options, entry.get("comment") or ""))
    return steps


def _remark_faults(holder: Mapping[str, Any], *at: str | int) -> list[DefinitionFault]:
    wrong = [key for key in REMARKS if not isinstance(holder.get(key, ""), str | None)]
    return [DefinitionFault(pointer(*at, key), "must be a text") for key in wrong]


def _secret_faults(model: type[BaseModel], given: Any, *at: str | int) -> Iterator[DefinitionFault]:
    """Secrets that stand in the definition itself. The value is not repeated."""
    if not isinstance(given, dict):
        return
    formats = given.get("format_options")
    for name in secret_options(model):
        where = pointer(*at, "processor_options", name)
        values = given.get(name)
        for value in values if isinstance(values, list) else [values]:
            if value not in (None, "") and not (isinstance(value, str) and SECRET_REFERENCE.fullmatch(value)):
                yield DefinitionFault(
                    where,
                    "is secret and may not stand in a definition: put it into an environment variable (or .env), say "
                    f"VCON_SECRET_{name.upper()}, and write env:VCON_SECRET_{name.upper()} here",
                )
                break
        if isinstance(formats, dict) and name in formats:
            yield DefinitionFault(
                pointer(*at, "processor_options", "format_options", name),
                "is secret and cannot come from a parameter; write env:NAME as the option itself",
            )


def _format_faults(model: type[BaseModel], given: Any, *at: str | int) -> Iterator[DefinitionFault]:
    """Names in ``format_options`` that are no option of the processor, and texts that are no template."""
    formats = given.get("format_options") if isinstance(given, dict) else None
    if not isinstance(formats, dict):
        return
    options = [name for name in model.model_fields if name != "format_options"]
    for name, template in formats.items():
        place = pointer(*at, "processor_options", "format_options", name)
        if name not in options:
            yield DefinitionFault(place, unknown(str(name), options))
        elif isinstance(template, str):
            try:
                parse_template(template)
            except TemplateFault as fault:
                yield DefinitionFault(place, str(fault))


def _own_loops(name: str, options: PipelineOptions) -> Iterator[DefinitionFault]:
    """Queues of its options by which a job would come back to this pipeline for ever, or that cannot be."""
    own = {name, *options.feeds}
    for key in ("success_queue", "failure_queue"):
        queue = getattr(options, key)
        if queue is None:
            continue
        if fault := queue_fault(queue):
            yield DefinitionFault(pointer("pipeline_options", key), fault)
        elif queue in own:
            yield DefinitionFault(
                pointer("pipeline_options", key),
                "is a queue that this pipeline works on itself: its jobs would go round for ever; name another queue",
            )
    for index, feed in enumerate(options.feeds):
        at = pointer("pipeline_options", "feeds", index)
        if fault := queue_fault(feed):
            yield DefinitionFault(at, fault)
        elif feed == name:
            yield DefinitionFault(at, "is the pipeline's own queue, which feeds it anyway; remove it")
        elif feed in options.feeds[:index]:
            yield DefinitionFault(at, "is named twice; remove one")

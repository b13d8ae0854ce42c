"""What a pipeline is: a named, ordered list of processors with options, checked against the processors installed.

The JSON of py_vcon_server is accepted unchanged (``pipeline_options``, ``processors[].processor_name``,
``processors[].processor_options``; further members beside ``processor_name`` are remarks). YAML is the same thing.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Processor, ProcessorOptions
from vcon_platform.processors.registry import Registry

REMARKS = ("comment", "label", "notes")


class DefinitionError(PlatformError):
    """A definition that cannot run. The message lists each fault as ``pointer: what is wrong``."""


class PipelineOptions(BaseModel):
    """Options of a pipeline as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(default="", title="Label", description="A short name for people.")
    notes: str = Field(default="", title="Notes", description="Remarks for people.")
    comment: str = Field(default="", title="Comment", description="Remarks for people.")
    save_vcons: bool | None = Field(
        default=True, title="Save vCons", description="False: what processors changed is not committed."
    )
    lane: Literal["batch", "stream"] = Field(
        default="batch",
        title="Lane",
        description="batch: what waits is taken by one run, seconds after it came. stream: a run stands by and takes "
        "it within milliseconds.",
    )
    timeout: float | None = Field(
        default=None,
        ge=0,
        title="Time-out",
        description="Seconds that one conversation may spend in the pipeline's processors. 0 or empty: no limit.",
    )
    run_timeout: float | None = Field(
        default=None,
        ge=0,
        title="Run time-out",
        description="Seconds after which Dagster ends a run. 0 or empty: none.",
    )
    success_queue: str | None = Field(
        default=None, title="Success queue", description="The queue that a job enters when it is done."
    )
    failure_queue: str | None = Field(
        default=None,
        title="Failure queue",
        description="The queue that a failed job enters instead of dead:{pipeline}.",
    )
    feeds: tuple[str, ...] = Field(
        default=(),
        title="Feeds",
        description="Further queues whose jobs go to this pipeline as well; a feed may serve several pipelines, and "
        "each gets every job.",
    )
    weight: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Weight",
        description="While several queues have more waiting than can be worked on, each is served in proportion to "
        "its weight.",
    )
    max_waiting: int | None = Field(
        default=None,
        ge=1,
        title="Most jobs waiting",
        description="Adapters stop and the API answers 429 while more jobs wait in the queue. Empty: no limit.",
    )
    max_runs: int = Field(
        default=1, ge=1, le=16, title="Runs at once", description="Most batch runs of this pipeline under way."
    )
    batch_size: int = Field(
        default=10_000,
        ge=1,
        le=10_000,
        title="Batch size",
        description="Most jobs that one run leases.",
    )
    batch_seconds: float = Field(
        default=120.0,
        gt=0,
        title="Batch seconds",
        description="A run leases about as much as it can do in this time, judged by the runs before it.",
    )
    stream_batch: int = Field(
        default=100, ge=1, le=1000, title="Micro-batch", description="Most jobs leased at a time in the stream lane."
    )
    stream_seconds: float = Field(
        default=600.0, gt=0, title="Stream seconds", description="Age at which a stream run is followed by a fresh one."
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=1000,
        title="Conversations at once",
        description="In processors that wait for the network.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=20,
        title="Retries",
        description="How often a job that failed for a passing reason (after the tries within its run) is queued "
        "again, later.",
    )
    retry_wait: float = Field(
        default=30.0,
        gt=0,
        title="Wait before a retry",
        description="Seconds before the first retry of a job; each further one waits twice as long, with jitter.",
    )


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


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _faults(error: ValidationError, where: str, model: type[BaseModel]) -> list[str]:
    faults = []
    for detail in error.errors(include_url=False, include_input=False):
        place = "/".join([where, *map(str, detail["loc"])])
        if detail["type"] == "extra_forbidden":
            unknown = str(detail["loc"][-1])
            choices = list(model.model_fields)
            faults.append(f"{place}: no such option{_did_you_mean(unknown, choices)}; there are {', '.join(choices)}")
        else:
            faults.append(f"{place}: {detail['msg']}")
    return faults


def read_definition(name: str, raw: Any, registry: Registry, source: Source = "file") -> Definition:
    """Check a definition against the processors installed. Raises :class:`DefinitionError` naming every fault."""
    if not name.replace("_", "").isalnum() or not name.isascii():
        raise DefinitionError(f"pipeline {name!r}: a name has letters, digits and '_' only (it names Dagster's job)")
    if not isinstance(raw, dict):
        raise DefinitionError("/: a definition is an object with 'processors' and 'pipeline_options'")
    faults: list[str] = []
    if unknown := set(raw) - {"name", "pipeline_options", "processors", *REMARKS}:
        faults += [
            f"/{key}: no such member{_did_you_mean(key, ('pipeline_options', 'processors'))}" for key in sorted(unknown)
        ]
    options = PipelineOptions()
    try:
        options = PipelineOptions.model_validate(raw.get("pipeline_options") or {})
    except ValidationError as error:
        faults += _faults(error, "/pipeline_options", PipelineOptions)
    entries = raw.get("processors")
    if not isinstance(entries, list):
        faults.append("/processors: must be a list of {processor_name, processor_options}")
        entries = []
    names = [entry.get("processor_name") if isinstance(entry, dict) else None for entry in entries]
    steps: list[Step] = []
    for index, entry in enumerate(entries):
        where, processor_name = f"/processors/{index}", names[index]
        if not isinstance(processor_name, str):
            faults.append(f"{where}/processor_name: must be the name of a processor")
            continue
        try:
            processor = registry.get(processor_name)
        except PlatformError as error:
            faults.append(f"{where}/processor_name: {error}")
            continue
        try:
            step_options = processor.options.model_validate(entry.get("processor_options") or {})
        except ValidationError as error:
            faults += _faults(error, f"{where}/processor_options", processor.options)
            continue
        step_name = processor_name if names.count(processor_name) == 1 else f"{processor_name}_{index}"
        steps.append(Step(step_name, processor, step_options, str(entry.get("comment", ""))))
    if faults:
        raise DefinitionError("; ".join(faults))
    return Definition(name=name, options=options, steps=tuple(steps), version=hash_of(raw), raw=raw, source=source)

"""The processor contract: what a processor is given, what it may do, how it says that it could not.

A processor is a class with a name, a version, an options model and ``process(io, options) -> io``. It knows
nothing of Redis, Dagster or batches: the engine (``vcon_platform/pipelines``) reads documents before the first
processor and commits what changed after the last one. So a processor that raises has changed nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from vcon_platform.errors import PlatformError
from vcon_platform.projections.model import Projection
from vcon_platform.vcon.document import Vcon


class ProcessorError(PlatformError):
    """A processor could not do its work on one conversation."""


class TransientError(ProcessorError):
    """Worth another try soon: a time-out, a rate limit, a service that is down."""


class PermanentError(ProcessorError):
    """Trying again with the same input cannot help: broken audio, a refused key, a missing member."""


class NotApplicable(ProcessorError):
    """There is nothing to do for this conversation (no recording to transcribe). It goes on unchanged."""


class ProcessorOptions(BaseModel):
    """Options every processor has. Subclass it: each option is one field with title, description and default;
    that declaration is the validation, the Launchpad's form, the OpenAPI schema and the documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    should_process: bool = Field(
        default=True,
        title="Process",
        description="False: the conversation passes this processor untouched.",
    )
    label: str = Field(default="", title="Label", description="A short name for people. Has no effect.")
    notes: str = Field(default="", title="Notes", description="Remarks for people. Has no effect.")
    comment: str = Field(default="", title="Comment", description="Remarks for people. Has no effect.")


class MediaReader(Protocol):
    """Gives the bytes of a dialog's, analysis' or attachment's body, wherever they are kept."""

    def body(self, entry: Mapping[str, Any]) -> bytes:
        """The decoded body. Raises PlatformError when there is none, or it cannot be had."""
        ...

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        """The body's ``content_hash`` token, without reading the body where the entry names it."""
        ...


class ResultCache(Protocol):
    """Results that cost money or minutes, kept so that neither retry nor backfill buys them twice."""

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        """The JSON value kept under ``parts`` (content hash, processor, version, options…), else computed and
        kept at once, so that a crash a moment later does not lose it."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessorContext:
    """What the platform lends to a processor while it runs."""

    media: MediaReader
    results: ResultCache
    projections: Mapping[str, Projection]
    pipeline: str
    pipeline_version: str = ""


@dataclass(slots=True)
class ProcessorIO:
    """What goes from processor to processor: vCons (the first is the job's own) and parameters."""

    vcons: list[Vcon]
    context: ProcessorContext
    parameters: dict[str, Any] = field(default_factory=dict)
    dropped: str | None = None

    @property
    def vcon(self) -> Vcon:
        """The job's own vCon."""
        return self.vcons[0]

    def drop(self, reason: str) -> None:
        """End this conversation's way through the pipeline here, on purpose. What was changed so far is kept;
        ``reason`` (no personal data) is what ledger, UI and the verdict column show."""
        self.dropped = reason


@dataclass(frozen=True, slots=True)
class Effects:
    """What a processor may do, declared so that the engine, the UI and the docs know before it runs."""

    costs: bool = False
    """Takes money or minutes per conversation: results belong into the result cache."""
    network: bool = False
    """Waits for the network: the engine may run many conversations at once in threads."""
    may_drop: bool = False
    """May end a conversation's way (a filter)."""
    changes: bool = False
    """Changes the vCon."""


class Processor[O: ProcessorOptions](ABC):
    """Base of all processors. Instances are made once per process and shared by threads: keep no state of a
    conversation on ``self``."""

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    effects: ClassVar[Effects] = Effects()
    options: ClassVar[type[ProcessorOptions]] = ProcessorOptions

    @abstractmethod
    def process(self, io: ProcessorIO, options: O) -> ProcessorIO:
        """Do the work on one conversation. Raises TransientError, PermanentError or NotApplicable."""

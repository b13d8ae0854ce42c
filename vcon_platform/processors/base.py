"""The processor contract: what a processor is given, what it may do, how it says that it could not.

A processor is a class with a name, a version, an options model and ``process(io, options) -> io``, which may be a
coroutine function. It knows nothing of Redis, Dagster or batches: the engine (``vcon_platform/pipelines``) reads
documents before the first processor and commits what changed after the last one. So a processor that raises has
changed nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventKind
from vcon_platform.projections.model import Projection
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import derived_uuid, new_uuid

if TYPE_CHECKING:
    from vcon_platform.processors.originals import Originals


class ProcessorError(PlatformError):
    """A processor could not do its work on one conversation. ``code``: what ledger and dead queue call the fault;
    empty: the name of the class."""

    code: str = ""


class TransientError(ProcessorError):
    """Worth another try soon: a time-out, a rate limit, a service that is down. ``retry_after``: the seconds that
    the service asked to wait, where it said so."""

    transient = True

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Callable[..., TransientError], tuple[str, float | None]]:
        """Errors come back from child processes: the seconds must survive that."""
        return _transient, (str(self), self.retry_after)


def _transient(message: str, retry_after: float | None) -> TransientError:
    return TransientError(message, retry_after=retry_after)


class PermanentError(ProcessorError):
    """Trying again with the same input cannot help: broken audio, a refused key, a missing member."""


class OutcomeUnknown(ProcessorError):
    """Only while an effect is carried out: the connection broke where it may have happened or not. It is not tried
    again by itself; an operator decides."""


class NotApplicable(ProcessorError):
    """There is nothing to do for this conversation (no recording to transcribe). It goes on unchanged."""


class ProcessorOptions(BaseModel):
    """Options every processor has. Subclass it: each option is one field with title, description and default;
    that declaration is the validation, the Launchpad's form, the OpenAPI schema and the documentation."""

    # The schema of a class is built when it is first used: there are forty of them, and a pipeline has five.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    should_process: bool = Field(
        default=True,
        title="Process",
        description="False: the conversation passes this processor untouched.",
    )
    input_vcon_index: int = Field(
        default=0, ge=0, title="Input", description="Which vCon of the conversation's is worked on; 0 is the job's own."
    )
    format_options: dict[str, str] = Field(
        default_factory=dict,
        title="Options from parameters",
        description="Option name to text in which {name} stands for the parameter of that name; the option is set to "
        "it for each conversation, e.g. should_process: '{bad_score}'.",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        title="Time-out",
        description="Seconds that this processor may take for one conversation; then it is stopped and the job fails.",
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
class Usage:
    """What one call of a service used, as far as the service says or it can be measured here."""

    service: str
    """Whose: ``openai``, ``deepgram``, ``local``."""
    model: str = ""
    seconds: float = 0.0
    """Of audio."""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Buyer:
    """For whom something is bought."""

    vcon_uuid: str
    pipeline: str
    pipeline_version: str
    processor: str
    processor_version: str
    job_id: str


class Purchases(Protocol):
    """Keeps the budgets, and the account of what was used."""

    def before(self, buyer: Buyer) -> None:
        """Asked before anything is bought. Raises PermanentError where the pipeline's budget is used up."""
        ...

    def after(self, buyer: Buyer, usage: Usage) -> None:
        """Write down what a call used, at once: it is owed whatever becomes of the conversation."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessorContext:
    """What the platform lends to a processor while it runs."""

    media: MediaReader
    results: ResultCache
    projections: Mapping[str, Projection]
    pipeline: str
    pipeline_version: str = ""
    purchases: Purchases | None = None
    """None: nobody keeps an account (tests)."""
    originals: Originals | None = None
    """The exact bytes of documents, for processors that sign and encrypt (``originals.py``). None: not to be had."""
    deadline: float | None = None
    """When this conversation's time is up, on the clock ``time.monotonic``."""

    def remaining(self) -> float | None:
        """Seconds that are left for this conversation, None where there is no limit. A time-out for a call of a
        service: who gives up in time can say why; who does not is stopped."""
        return None if self.deadline is None else max(0.0, self.deadline - monotonic())


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that a processor asks for: it enters ``queue`` in the same step that ends this one, if that ends as done or
    filtered. Its parameters are these, as they are when the processor is done; none are handed on by themselves."""

    queue: str
    vcon_uuids: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: str = "normal"
    delay: float = 0.0
    """Seconds from the commit until it may be leased."""
    from_queue: str = ""
    """What the job says of where it comes from, for those who read the queue."""


class LiveDocuments(Protocol):
    """The documents, for effects that are about where they are kept."""

    def leave_after(self, uuid: str, seconds: int) -> None:
        """Have a document leave Redis this many seconds from now, and after every later use; it stays in the archive.
        Raises PlatformError where the archive has none."""
        ...


@dataclass(frozen=True, slots=True)
class Lent:
    """What the platform lends to a processor while it carries out an effect."""

    media: MediaReader
    documents: LiveDocuments


@dataclass(frozen=True, slots=True)
class Effect:
    """Something outside that a processor asks for (a mail, a call of a webhook): carried out after the commit, once,
    by :meth:`Processor.deliver` of the processor that asked. ``body`` is JSON without secrets."""

    body: Mapping[str, Any]
    summary: str = ""
    """What it is, for ledger and simulation; no personal data."""
    about: Any = None
    """What makes another one of the same step about the same vCon the same, so that it is carried out once; JSON.
    None: the body."""
    lent: Lent | None = field(default=None, compare=False, repr=False)
    """What the platform lends to :meth:`Processor.deliver`; None until then."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something that a processor found out and that the ledger is to keep: ``event`` is an
    :class:`~vcon_platform.ledger.events.EventKind`, ``detail`` JSON without personal data."""

    event: str
    detail: Mapping[str, Any]


@dataclass(slots=True)
class ProcessorIO:
    """What goes from processor to processor: vCons (the first ones are the job's own) and parameters."""

    vcons: list[Vcon]
    context: ProcessorContext
    parameters: dict[str, Any] = field(default_factory=dict)
    dropped: str | None = None
    input_index: int = 0
    """Which of ``vcons`` the next processor works on; set by the engine from ``input_vcon_index``."""
    added: list[Vcon] = field(default_factory=list)
    """Those of ``vcons`` that a processor made: stored as new when the job is settled."""
    queued: list[QueuedJob] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    """What processors have asked for so far; the engine knows whose they are."""
    recorded: list[Recorded] = field(default_factory=list)
    """What the processor at work wants in the ledger; the engine takes it from here."""
    job_id: str = ""
    position: int = 0
    """The job that is worked on and the place of the processor at work in its pipeline; set by the engine."""
    made: int = 0
    """How many uuids this processor has made for this conversation."""

    @property
    def vcon(self) -> Vcon:
        """The vCon that is worked on: the job's own, unless ``input_vcon_index`` says another."""
        return self.vcons[self.input_index]

    def add(self, vcon: Vcon) -> None:
        """Hand on a vCon that was made here (an amended or redacted copy). It is stored when the job is settled."""
        self.vcons.append(vcon)
        self.added.append(vcon)

    def new_uuid(self) -> str:
        """A uuid for a vCon that is made here. The same job makes the same ones again when it is repeated after a
        crash, so that nothing is stored twice; another job (a reprocessing) makes others."""
        self.made += 1
        if not self.job_id:
            return new_uuid()
        parts = (self.context.pipeline, self.job_id, str(self.position), str(self.made))
        return derived_uuid(time_of_job(self.job_id), *parts)

    def buy(self, processor: Processor[Any], parts: tuple[str, ...], call: Callable[[], tuple[Any, Usage]]) -> Any:
        """The result of a call that costs money or minutes: the one kept under ``parts`` (content hash, model, all
        options that matter), name and version of the processor, else ``call`` is made now, within the pipeline's
        budget, kept, and its usage written down. The result is JSON. Raises what ``call`` raises, and PermanentError
        where the budget is used up."""
        context = self.context
        buyer = Buyer(
            self.vcon.uuid,
            context.pipeline,
            context.pipeline_version,
            processor.name,
            processor.version,
            self.job_id,
        )

        def made() -> Any:
            if context.purchases is not None:
                context.purchases.before(buyer)
            result, usage = call()
            if context.purchases is not None:
                context.purchases.after(buyer, usage)
            return result

        return context.results.get_or_compute((processor.name, processor.version, *parts), made)

    async def buy_async(
        self, processor: Processor[Any], parts: tuple[str, ...], call: Callable[[], Awaitable[tuple[Any, Usage]]]
    ) -> Any:
        """:meth:`buy` for asynchronous processors. ``call`` runs in their event loop, where their client belongs;
        another thread keeps the account meanwhile, so that several purchases of a conversation can be awaited at
        once."""
        import asyncio

        loop = asyncio.get_running_loop()

        async def called() -> tuple[Any, Usage]:
            return await call()

        def bought() -> tuple[Any, Usage]:
            return asyncio.run_coroutine_threadsafe(called(), loop).result()

        return await asyncio.to_thread(self.buy, processor, parts, bought)

    def queue(self, job: QueuedJob) -> None:
        """Have a job entered into a queue, if and when this one is settled."""
        self.queued.append(job)

    def send(self, effect: Effect) -> None:
        """Have something done outside, once, after this conversation is settled."""
        self.effects.append(effect)

    def record(self, event: EventKind, **detail: Any) -> None:
        """Have the ledger keep what was found out, whatever becomes of the conversation after this processor."""
        self.recorded.append(Recorded(str(event), detail))

    def drop(self, reason: str) -> None:
        """End this conversation's way through the pipeline here, on purpose. What was changed so far is kept;
        ``reason`` (no personal data) is what ledger, UI and the verdict column show."""
        self.dropped = reason


def time_of_job(job_id: str) -> datetime:
    """When the job was made, as its id says; ids of jobs that other software queued say nothing."""
    try:
        uuid = UUID(job_id)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp((uuid.int >> 80) / 1000 if uuid.version == 7 else 0, UTC)


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
    """Changes the vCon, or adds one."""
    sends: bool = False
    """Asks for effects outside (``io.send``), which happen once."""
    purpose: str = ""
    """The purpose that parties must have consented to where consent is enforced (``transcription``, ``analysis``…,
    draft-howe-vcon-lawful-basis); empty: none is needed."""


class Processor[O: ProcessorOptions](ABC):
    """Base of all processors. Instances are made once per process and shared by threads: keep no state of a
    conversation on ``self``."""

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    effects: ClassVar[Effects] = Effects()
    options: ClassVar[type[ProcessorOptions]] = ProcessorOptions
    pool: ClassVar[str | None] = None
    """The provider whose limit of calls at once it shares with others (``VCON_POOLS``)."""

    @classmethod
    def waits(cls, options: O) -> bool:  # noqa: ARG003 - for those whose options decide it
        """Whether it waits for the network with these options, so that many conversations are worked on at once: as
        ``effects.network`` says, unless an option decides it."""
        return cls.effects.network

    @classmethod
    def pool_of(cls, options: O) -> str | None:  # noqa: ARG003 - for those whose options decide it
        """The pool with these options: :attr:`pool`, unless an option decides whose service is called."""
        return cls.pool

    def deliver(self, effect: Effect, key: str) -> None:  # noqa: ARG002 - for those that ask for effects
        """Carry out an effect that this processor asked for. ``key`` is the same at every try, for whoever can tell
        doubles. Raises TransientError (nothing happened: tried again later), PermanentError (nothing happened: put
        aside) or OutcomeUnknown (put aside as uncertain)."""
        raise PermanentError(f"processor {self.name} asks for no effects")

    @abstractmethod
    def process(self, io: ProcessorIO, options: O) -> ProcessorIO | Awaitable[ProcessorIO]:
        """Do the work on one conversation; ``def`` or ``async def`` (``processors/running.py`` calls it). Raises
        TransientError, PermanentError or NotApplicable."""

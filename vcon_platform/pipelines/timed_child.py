"""What happens in the process of its own in which a processor with a time limit works (``timed.py`` is the other end).

A conversation comes as JSON and goes back as JSON: the changes, not the documents. Kept light, because the server from
which these processes are forked imports it beforehand.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.errors import PlatformError, trace_of
from vcon_platform.pipelines import enveloped
from vcon_platform.pipelines.pipeline_options import Budget
from vcon_platform.processors import running
from vcon_platform.processors.base import (
    Buyer,
    MediaReader,
    NotApplicable,
    Processor,
    ProcessorContext,
    ProcessorError,
    ProcessorIO,
    Purchases,
    ResultCache,
    Usage,
)
from vcon_platform.processors.originals import NoOriginals, Originals
from vcon_platform.projections.model import Projection
from vcon_platform.settings import Settings
from vcon_platform.vcon.document import Envelope, Vcon, change_to_json

if TYPE_CHECKING:
    from vcon_platform.pipelines.purchases import Purchasing

GRACE = 30.0
"""Seconds past its limit after which the parent ends a process that did not end itself: it may have had to import the
processor first, which does not count."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What is lent to processors besides the conversation."""

    media: MediaReader
    results: ResultCache
    projections: Mapping[str, Projection]
    purchasing: Purchasing | None = None
    originals: Originals | None = None


Lending = Callable[[], Lent]
"""Opens it, in whichever process. Can be pickled."""


@dataclass(frozen=True, slots=True)
class FromSettings:
    """Opens what an installation's settings say."""

    settings: Settings
    projections: Mapping[str, Projection]

    def __call__(self) -> Lent:
        from vcon_platform.pipelines.originals import StoredOriginals
        from vcon_platform.pipelines.purchases import purchasing_of
        from vcon_platform.store.opening import open_store
        from vcon_platform.store.results import StoredResults

        store = open_store(self.settings)
        purchasing = purchasing_of(self.settings, store.client)
        originals = StoredOriginals(self.settings, store.documents, store.media)
        return Lent(store.media, StoredResults(store.client), self.projections, purchasing, originals)


@dataclass(frozen=True, slots=True)
class Task:
    """One conversation for one processor. ``what``: pickled (processor class, options); ``vcons``: document, revision,
    commit, sealed, envelope; ``limit`` in seconds."""

    what: bytes
    vcons: tuple[tuple[bytes, int, str, Mapping[str, int] | None, Envelope | None], ...]
    parameters: bytes
    pipeline: str
    pipeline_version: str
    job_id: str
    position: int
    input_index: int
    limit: float
    budget: Budget | None = None
    batch_id: str = ""
    run_id: str = ""


_lending: bytes = b""


def begin(lending: bytes, environment: Mapping[str, str]) -> None:
    """Called first in each process. Opens nothing yet: many processors need neither Redis nor recordings."""
    global _lending
    _lending = lending
    # The server that it was forked from has the environment of the moment at which that was first needed.
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


class _Opened:
    """Media and results that are opened when a processor first asks for them."""

    def __init__(self) -> None:
        self._lent: Lent | None = None

    def __call__(self) -> Lent:
        if self._lent is None:
            self._lent = cast("Lending", pickle.loads(_lending))()  # noqa: S301 - from the parent process
        return self._lent

    def body(self, entry: Mapping[str, Any]) -> bytes:
        return self().media.body(entry)

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        return self().media.content_hash(entry)

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        return self().results.get_or_compute(parts, compute)

    def __getattr__(self, name: str) -> Any:  # what else a media store of the platform's own can do
        return getattr(self().media, name)


_opened = _Opened()


class _Originals:
    """The same for originals."""

    def __getattr__(self, name: str) -> Any:
        originals = _opened().originals
        if originals is None:
            raise NoOriginals
        return getattr(originals, name)


_originals = cast("Originals", _Originals())


class _Projections(Mapping[str, Projection]):
    """The same for projections."""

    def __getitem__(self, name: str) -> Projection:
        return _opened().projections[name]

    def __iter__(self) -> Any:
        return iter(_opened().projections)

    def __len__(self) -> int:
        return len(_opened().projections)


class _Purchases:
    """The same for budgets and accounts."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def before(self, buyer: Buyer) -> None:
        if (purchases := self._lent()) is not None:
            purchases.before(buyer)

    def after(self, buyer: Buyer, usage: Usage) -> None:
        if (purchases := self._lent()) is not None:
            purchases.after(buyer, usage)

    def _lent(self) -> Purchases | None:
        purchasing, task = _opened().purchasing, self._task
        if purchasing is None:
            return None
        return purchasing.within(task.budget, batch_id=task.batch_id, run_id=task.run_id)


@lru_cache(maxsize=256)
def _unpickled(what: bytes) -> tuple[type[Processor[Any]], Any]:
    return cast("tuple[type[Processor[Any]], Any]", pickle.loads(what))  # noqa: S301 - from the parent process


@lru_cache(maxsize=256)
def _instance(cls: type[Processor[Any]]) -> Processor[Any]:
    return cls()


def run(task: Task) -> bytes:
    """Process one conversation; gives JSON, of the error if there was one. Raises nothing."""
    began = time.perf_counter()
    try:
        cls, options = _unpickled(task.what)
        processor = _instance(cls)
        # The system ends this process when the time is up, whatever it is at, and whether its parent still lives.
        began = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, min(task.limit, 1e8))  # three years; much more overflows its clock
        answer = _run(task, processor, options)
    except Exception as error:  # a plugin may raise anything; it must not end this process
        answer = _error(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    answer["seconds"] = time.perf_counter() - began
    try:
        return orjson.dumps(answer)
    except TypeError as error:
        return orjson.dumps({**_error(error), "seconds": answer["seconds"]})


def _run(task: Task, processor: Processor[Any], options: Any) -> dict[str, Any]:
    context = ProcessorContext(
        media=_opened,
        results=_opened,
        projections=_Projections(),
        pipeline=task.pipeline,
        pipeline_version=task.pipeline_version,
        purchases=_Purchases(task),
        originals=_originals,
        deadline=time.monotonic() + task.limit,
    )
    vcons = [
        Vcon(orjson.loads(raw), revision, commit=commit, sealed=sealed, envelope=envelope)
        for raw, revision, commit, sealed, envelope in task.vcons
    ]
    io = ProcessorIO(vcons, context, orjson.loads(task.parameters), input_index=task.input_index)
    io.job_id, io.position = task.job_id, task.position
    io = running.run(processor, io, options)
    given = len(task.vcons)
    return {
        "changes": [[change_to_json(each) for each in vcon.changes] for vcon in io.vcons[:given]],
        "forms": [
            enveloped.written(vcon) if vcon.envelope is not None and vcon.envelope is not came[4] else None
            for vcon, came in zip(io.vcons, task.vcons, strict=False)
        ],
        "added": [orjson.Fragment(vcon.to_bytes()) for vcon in io.vcons[given:]],
        "added_forms": [enveloped.written(vcon) if vcon.envelope is not None else None for vcon in io.vcons[given:]],
        "parameters": io.parameters,
        "dropped": io.dropped,
        "queued": io.queued,
        "effects": io.effects,
        "recorded": io.recorded,
    }


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, NotApplicable):
        kind = "not_applicable"
    elif isinstance(error, PlatformError):
        kind = "transient" if error.transient else "permanent"
    else:
        kind = "unexpected"
    return {
        "error": kind,
        "code": (error.code if isinstance(error, ProcessorError) else "") or type(error).__name__,
        "message": str(error) if kind != "unexpected" else "",
        "retry_after": getattr(error, "retry_after", None),
        "trace": trace_of(error) if kind == "unexpected" else "",
    }

"""Small processors that do one telling thing each, and an engine on a real Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from redis import Redis

from tests.support import document_store
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.engine import Engine, EnginePolicy
from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.projections.catalogue import parse_projection
from vcon_platform.projections.model import Projection
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

PROJECTIONS = {
    name: parse_projection((Path(__file__).parents[2] / "pipelines" / "projections" / f"{name}.yaml").read_text(), name)
    for name in ("calls", "recalls")
}


class MarkOptions(ProcessorOptions):
    mark: str = Field(default="seen", title="Mark", description="What to write.")


class Mark(Processor[MarkOptions]):
    """Appends an analysis."""

    name = "mark"
    version = "1"
    title = "Mark"
    description = "Appends an analysis."
    effects = Effects(changes=True)
    options = MarkOptions

    def process(self, io: ProcessorIO, options: MarkOptions) -> ProcessorIO:
        io.vcon.append("analysis", {"type": options.mark, "vendor": "test", "body": options.mark, "encoding": "none"})
        return io


class NetworkMark(Mark):
    """The same in threads."""

    name = "network_mark"
    effects = Effects(changes=True, network=True)


class Judge(Processor[ProcessorOptions]):
    """Does what the subject of the vCon says."""

    name = "judge"
    version = "1"
    title = "Judge"
    description = "Does what the subject says."
    effects = Effects(may_drop=True)
    tries: dict[str, int] = {}  # noqa: RUF012 - counts over all tests, by uuid

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        self.tries[io.vcon.uuid] = self.tries.get(io.vcon.uuid, 0) + 1
        match io.vcon.data.get("subject"):
            case "drop":
                io.drop("it says so")
            case "permanent":
                raise PermanentError("this can never work")
            case "transient":
                raise TransientError("not just now")
            case "soon" if self.tries[io.vcon.uuid] < 3:
                raise TransientError("not just now")
            case "nothing":
                raise NotApplicable("nothing to judge")
            case "bug":
                raise ValueError("a secret of +1 555 0100")
            case "put":
                io.vcon.put("subject", "changed")
        return io


REGISTRY = Registry({cls.name: cls for cls in (Judge, Mark, NetworkMark)})


def definition(*processors: str, name: str = "recall", **options: Any) -> Definition:
    """A pipeline of these processors."""
    raw = {"pipeline_options": options, "processors": [{"processor_name": each} for each in processors]}
    return read_definition(name, raw, REGISTRY)


def engine(
    client: Redis,
    folder: Path,
    projections: dict[str, Projection] | None = None,
    parts: dict[str, Any] | None = None,
    **policy: Any,
) -> Engine:
    """An engine that does not wait between retries. ``parts``: further ones (slots, lending, outbox, registry)."""
    return Engine(
        documents=document_store(client, folder),
        queues=Queues(client),
        media=MediaStore(local_objects(folder), 1024),
        results=StoredResults(client),
        projections=projections or {},
        policy=EnginePolicy(retry_wait=0.001, **policy),
        **(parts or {}),
    )


def stored(work: Engine, *subjects: str, queue: str = "recall") -> list[str]:
    """vCons with these subjects, stored and queued; their uuids."""
    vcons = [
        Vcon(
            {
                "uuid": new_uuid(),
                "created_at": "2026-11-02T09:00:00+00:00",
                "subject": subject,
                "parties": [],
                "dialog": [],
                "analysis": [],
                "attachments": [],
            }
        )
        for subject in subjects
    ]
    return [uuid for uuid, _ in work.documents.create(NewVcon(vcon, queues=[queue]) for vcon in vcons)]

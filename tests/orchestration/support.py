"""A deployment of text definitions on real servers, run in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from redis import Redis

from tests.support import document_store
from vcon_platform.definitions import build_definitions
from vcon_platform.orchestration.pinning import Texts
from vcon_platform.settings import Settings
from vcon_platform.store.commits import NewVcon
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

SHIPPED = Path(__file__).parents[2] / "pipelines"
FIND_RECALLS = """
processors:
  - {processor_name: recall_finder}
  - {processor_name: projection, processor_options: {projection: recalls}}
"""


def texts(**pipelines: str) -> Texts:
    """Shipped projections, no adapters, and these pipelines (default: recall without speech to text)."""
    projections = {path.name: path.read_text() for path in (SHIPPED / "projections").iterdir()}
    files = {f"{name}.yaml": text for name, text in (pipelines or {"recall": FIND_RECALLS}).items()}
    return {"pipelines": files, "projections": projections, "adapters": {}}


def definitions(settings: Settings, **pipelines: str) -> dg.Definitions:
    """The whole deployment of these pipelines."""
    return build_definitions(settings=settings, texts=texts(**pipelines))


def run(defs: dg.Definitions, instance: dg.DagsterInstance, name: str = "recall", **rest: Any) -> Any:
    """One run of a pipeline's Dagster job, in this process; failures are in the result."""
    return defs.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False, **rest)


def chats(settings: Settings, *said: str, queue: str = "recall") -> list[str]:
    """Conversations in which this was written, stored and queued; their uuids."""
    vcons = [
        Vcon(
            {
                "uuid": new_uuid(),
                "created_at": "2026-11-02T09:00:00+00:00",
                "parties": [{"name": "Ann", "role": "agent"}, {"name": "Cy", "tel": "+15550100", "role": "customer"}],
                "dialog": [
                    {
                        "type": "text",
                        "start": "2026-11-02T09:00:00+00:00",
                        "parties": 1,
                        "mediatype": "text/plain",
                        "body": text,
                        "encoding": "none",
                    }
                ],
                "analysis": [],
                "attachments": [],
            }
        )
        for text in said
    ]
    documents = document_store(Redis.from_url(settings.redis_url()), settings.objects_dir)
    return [uuid for uuid, _ in documents.create(NewVcon(vcon, queues=[queue]) for vcon in vcons)]

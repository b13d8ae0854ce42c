"""Redaction as pipelines run it: one copy made by two steps, stored beside its original."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis

from tests.pipelines.engine_support import lent, walk
from tests.pipelines.support import engine
from tests.processors.support import encoded, recording
from tests.processors.test_redact_audio import RATE, TRANSCRIPT
from vcon_platform.pipelines.definition import read_definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.registry import load_processors
from vcon_platform.store.commits import NewVcon
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import lineage_of
from vcon_platform.vcon.turns import transcript_text
from vcon_platform.vcon.uuids import new_uuid

REGISTRY = load_processors()


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path), "registry": REGISTRY})
    yield work
    work.close()


@pytest.mark.parametrize("options", [{}, {"timeout": 60}], ids=["threads", "a process of its own"])
def test_text_and_sound_are_stored_in_one_copy(work: Engine, options: dict[str, Any]) -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, 8 * RATE)
    call = Vcon(
        {
            "uuid": new_uuid(),
            "created_at": "2026-11-02T09:00:00+00:00",
            "parties": [{"name": "Alice"}, {"name": "Bob"}],
            "dialog": [recording(encoded(sound, RATE), filename="alice.wav")],
            "analysis": [TRANSCRIPT],
            "attachments": [],
        }
    )
    [(uuid, _)] = work.documents.create([NewVcon(call, queues=["recall"])])
    processors = [
        {"processor_name": "redact_text", "processor_options": options},
        {"processor_name": "redact_audio", "processor_options": {"cover": "silence", **options}},
    ]
    pipeline = read_definition("recall", {"processors": processors}, REGISTRY)
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    walk(work, pipeline, batch)
    assert work.settle(pipeline, batch).counts == {"done": 1}

    [link] = lineage_of(work.documents.read_one(uuid).data)
    copy = work.documents.read_one(link.uuid)
    assert copy.data["redacted"]["uuid"] == uuid
    assert "[PHONE]" in transcript_text(copy)
    assert {"body", "url"} & copy.dialog[0].keys()
    assert "filename" not in copy.dialog[0]
    assert b"alice" not in copy.to_bytes().lower()

"""Eight processes write to the same ten vCons: nothing is lost, and revisions are consecutive."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from redis import Redis

from vcon_platform.settings import Settings
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.opening import open_store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

PROCESSES, CHANGES, VCONS = 8, 300, 10
ROOT = Path(__file__).parents[2]
WRITER = (sys.executable, "-m", "tests.store.writers")


def test_eight_processes_lose_nothing_and_leave_consecutive_revisions(
    redis_url: str, redis_client: Redis, tmp_path: Path
) -> None:
    store = open_store(Settings(_env_file=None, data_dir_setting=tmp_path, redis_url_setting=redis_url))
    vcons = [Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z"}) for _ in range(VCONS)]
    uuids = [uuid for uuid, _ in store.documents.create(NewVcon(vcon) for vcon in vcons)]
    writers = [
        subprocess.Popen(
            [*WRITER, "appender", redis_url, tmp_path, f"w{number}", str(CHANGES), *uuids],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    told = [line.split() for writer in writers for line in writer.communicate(timeout=280)[0].splitlines()]
    assert len(told) == PROCESSES * CHANGES
    made = Counter(uuid for uuid, _ in told)
    for uuid, vcon in store.documents.read(uuids).items():
        there = [entry["type"] for entry in vcon.analysis] + vcon.data.get("seen", [])
        assert sorted(there) == sorted(mark for where, mark in told if where == uuid)
        assert vcon.revision == 1 + made[uuid]
        history = store.archive.history(uuid)
        assert history is not None
        assert [record.revision for record in history.records] == list(range(1, vcon.revision + 1))
        assert history.orphans == ()
        assert history.vcon().data == vcon.data

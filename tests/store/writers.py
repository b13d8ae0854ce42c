"""Writers that run as processes of their own, for the tests of concurrency and crashes.

``appender``: appends and replaces on given vCons, and tells each as it is told of it. ``ingester``: takes new vCons in
without end, and tells each uuid as it is answered. Both write a line only after the store's word. ``remover``: removes
a vCon, and dies right after a step of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.opening import open_door
from vcon_platform.settings import Settings
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


def _settings(redis_url: str, folder: str) -> Settings:
    return Settings(_env_file=None, data_dir_setting=Path(folder), redis_url_setting=redis_url)


def _tell(*words: str) -> None:
    """One line by one write: writers share a file, and print may write a line in pieces."""
    os.write(1, f"{' '.join(words)}\n".encode())


def appender(store: Store, name: str, count: int, uuids: list[str]) -> None:
    """``count`` changes, three appends to one replace, spread over the vCons."""
    chosen = random.Random(name)
    for number in range(count):
        uuid, mark = chosen.choice(uuids), f"{name}-{number}"
        if number % 4:
            store.documents.update(uuid, lambda vcon, mark=mark: vcon.append("analysis", {"type": mark}))  # type: ignore[misc]
        else:
            store.documents.update(uuid, lambda vcon, mark=mark: _count_up(vcon, mark))  # type: ignore[misc]
        _tell(uuid, mark)


def _count_up(vcon: Vcon, mark: str) -> None:
    """Read and replace: right only if nobody replaced it in between."""
    seen = vcon.data.get("seen", [])
    vcon.put("seen", [*seen, mark])


def ingester(settings: Settings, store: Store, name: str) -> None:
    """New vCons until somebody stops it; while Redis is away it tries again with the same one."""
    door, number = open_door(settings, store), 0
    while True:
        number += 1
        document = {
            "uuid": new_uuid(),
            "created_at": "2026-11-02T09:00:00Z",
            "subject": f"{name} {number}",
            "parties": [{"tel": "+15550100"}],
            "dialog": [{"type": "text", "start": "2026-11-02T09:00:00Z", "parties": 0, "mediatype": "text/plain",
                        "encoding": "none", "body": "word " * 800}],
        }  # fmt: skip
        raw = orjson.dumps(document)
        while True:
            with contextlib.suppress(PlatformError):
                answer = door.take(raw, Source(name, queues=("recall",)))
                assert isinstance(answer, Answer)
                _tell(answer.uuid, f"{name} {number}")
                break


def remover(store: Store, step: str, uuid: str) -> None:
    """Remove a vCon and be killed when its removal is ``kept`` in the archive, it is ``removed`` from Redis, or one of
    its records is ``erased``."""
    from vcon_platform.store.archive import Archive
    from vcon_platform.store.removing import Remover

    def killed_after(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def then_killed(*args: Any, **rest: Any) -> None:
            original(*args, **rest)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, then_killed)

    owner, name = {"kept": (Archive, "keep"), "removed": (Remover, "_remove"), "erased": (Archive, "erase")}[step]
    killed_after(owner, name)
    Remover(store.client, store.documents).remove(uuid, rows=lambda _vcon, _records: (), event=lambda _: b"{}")


if __name__ == "__main__":
    what, redis_url, folder, name, *rest = sys.argv[1:]
    settings = _settings(redis_url, folder)
    opened = open_store(settings)
    if what == "appender":
        appender(opened, name, int(rest[0]), rest[1:])
    elif what == "remover":
        remover(opened, name, rest[0])
    else:
        ingester(settings, opened, name)

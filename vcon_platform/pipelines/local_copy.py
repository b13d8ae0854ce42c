"""The stored definitions as they were when a code server last read them, in a file of the data folder.

Why: a code server that starts while Redis is away still has its pipelines, and a Redis that lost everything (flushed,
or a new one in its place) gets its definitions back. Belongs here: that file. Not here: when it is used
(``current.py``). It holds no secrets, as definitions hold none.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson

from vcon_platform.pipelines.stored import Snapshot

FILE = "stored_pipelines.json"


def load_copy(data_dir: Path) -> Snapshot | None:
    """The copy; None if there is none that can be used."""
    try:
        kept = orjson.loads((data_dir / FILE).read_bytes())
        return Snapshot(
            definitions=_texts(kept["definitions"]), live=_texts(kept["live"]), changes=int(kept["changes"])
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


def save_copy(data_dir: Path, snapshot: Snapshot) -> None:
    """Replace the copy in one step, if it differs. A disk that is full harms nobody: the older copy stays."""
    content = orjson.dumps(
        {
            "changes": snapshot.changes,
            "definitions": dict(snapshot.definitions),
            "live": dict(snapshot.live),
        },
        option=orjson.OPT_SORT_KEYS,
    )
    path = data_dir / FILE
    with contextlib.suppress(OSError):
        if path.is_file() and path.read_bytes() == content:
            return
        data_dir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{token_hex(4)}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        temporary.replace(path)


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()}

"""Have Dagster load changed definitions, and find out whether it runs them.

Belongs here: the reload and the look afterwards. Not here: storing a definition (``pipeline_edits.py``). That Dagster
answered the reload proves nothing (it says LOADED beside an error too), so the version of each pipeline that the code
server has loaded is asked for and compared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vcon_platform.services.dagster_client import DagsterClient, DagsterRefused, DagsterSilent
from vcon_platform.services.ports import LOOPBACK
from vcon_platform.settings import Settings

State = Literal["live", "loading", "dagster_down", "refused"]
_LOOK_EVERY = 0.5
_LIVE = "It is live: runs that start from now on use it; those under way end on the version they had."
_GONE = "Dagster has it no more: no run of it starts from now on; those under way come to their end."


@dataclass(frozen=True, slots=True)
class Live:
    """Whether what was written is what runs from now on, and a sentence for people."""

    state: State
    message: str

    @property
    def live(self) -> bool:
        return self.state == "live"


def dagster_client(settings: Settings, timeout: float = 60.0) -> DagsterClient:
    """Dagster of this installation."""
    return DagsterClient(f"http://{LOOPBACK}:{settings.webserver_port}", timeout)


def loaded_versions(settings: Settings, timeout: float = 5.0) -> dict[str, str] | None:
    """The version of each pipeline that Dagster runs; None if it cannot be asked."""
    try:
        return dagster_client(settings, timeout).pipeline_versions()
    except DagsterRefused:
        return None


def go_live(settings: Settings, wanted: Mapping[str, str | None], *, wait: float) -> Live:
    """Reload, and wait at most ``wait`` seconds until each pipeline in ``wanted`` is loaded in that version (None: not
    there any more)."""
    deadline = time.monotonic() + wait
    try:
        dagster_client(settings, timeout=3.0).location_error()
    except DagsterRefused as refused:
        return Live(
            "dagster_down",
            f"{refused} So nothing was reloaded: it goes live when Dagster starts, or by 'vcon-platform pipelines "
            "reload'.",
        )
    error: str | None = None
    try:
        error = dagster_client(settings, max(1.0, wait)).reload_location()
    except DagsterSilent:  # it answered a moment ago, so it is loading: what it has loaded is asked for below
        pass
    except DagsterRefused as refused:
        error = str(refused)
    while True:
        loaded = loaded_versions(settings)
        if loaded is not None and all(loaded.get(name) == version for name, version in wanted.items()):
            return Live("live", _GONE if wanted and not any(wanted.values()) else _LIVE)
        if time.monotonic() >= deadline:
            break
        time.sleep(min(_LOOK_EVERY, max(0.0, deadline - time.monotonic())))
    if error:
        return Live("refused", f"Dagster could not load it: {_shortened(error)}")
    return Live(
        "loading",
        f"It is not live after {wait:g} s: Dagster has another version still. See 'vcon-platform pipelines list', or "
        "try 'vcon-platform pipelines reload'.",
    )


def _shortened(text: str, most: int = 600) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else f"{words[:most]}…"

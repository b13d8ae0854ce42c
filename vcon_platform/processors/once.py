"""The option ``once_per`` of processors that have something done outside: how often it is done.

Belongs here: what counts as the same. Not here: doing it once (``store/effects.py``).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.enclosed import digest

OncePer = Literal["vcon", "content", "job"]


def once_per_field(what: str) -> Any:
    """The option's field; ``what`` is done: "It is posted"."""
    return Field(
        default="vcon",
        title="Once per",
        description=f"{what} once per: vcon, however often the pipeline is run again; content, so again for a vCon "
        "that has changed since; job, so again at every run, but not at a retry of one. Remembered for 90 days.",
    )


def about(io: ProcessorIO, once_per: OncePer, *what: Any) -> dict[str, Any]:
    """What makes an effect about this vCon the same as another one; ``what``: to whom it goes."""
    found: dict[str, Any] = {"vcon": io.vcon.uuid, "what": what}
    if once_per == "content":
        found["content"] = digest(io.vcon.data)
    elif once_per == "job":
        found["job"] = io.job_id
    return found

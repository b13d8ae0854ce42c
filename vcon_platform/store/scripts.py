"""The Lua scripts beside this file, registered on a client. Each script's head says what it promises."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script


@cache
def source(name: str) -> str:
    """The text of one script."""
    return files(__package__).joinpath("lua", f"{name}.lua").read_text()


def script(client: Redis, name: str) -> Script:
    """A script bound to a client. Within a pipeline, pass ``client=pipeline`` when calling it."""
    return client.register_script(source(name))

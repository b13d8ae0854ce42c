"""The Lua scripts beside this file, registered on a client. Each script's head says what it promises.

What several scripts share stands in a file of its own (``_enter.lua``); a line ``-- include _enter`` is replaced by it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script


@cache
def source(name: str) -> str:
    """The text of one script, with what it includes."""
    text = files(__package__).joinpath("lua", f"{name}.lua").read_text()
    return re.sub(r"^-- include (\w+)$", lambda found: source(found[1]), text, flags=re.MULTILINE)


def script(client: Redis, name: str) -> Script:
    """A script bound to a client. Within a pipeline, pass ``client=pipeline`` when calling it."""
    return client.register_script(source(name))

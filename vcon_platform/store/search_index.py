"""The search index itself: how it is made, replaced and looked after.

Belongs here: the schema, building an index and putting it in the place of an older one. Not here: what is in the hashes
(``search_fields.py``), making the hashes again (``search_refresh.py``), asking (``search.py``).

Each schema has an index of its own, ``vcons:{version}:{digest of the schema}``, and everybody asks the alias ``vcons``.
A new version is built in the background while the alias still answers from the old one, and takes its place when it is
complete. All of that may be done by any number of processes at once, and by old and new ones: only a newer version
takes the place of another.

What RediSearch is told about text: no stop words and no stemming (people look for what was said, in any language), no
frequencies and no highlighting (nothing is ranked: order is time).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from vcon_platform.store import keys
from vcon_platform.store.connection import explained
from vcon_platform.store.search_fields import INPUTS, SEPARATOR

if TYPE_CHECKING:
    from redis import Redis

ALIAS = "vcons"
POLL = 0.05
"""Seconds between two looks at an index that is being built."""

_TAG = ("TAG", "SEPARATOR", SEPARATOR, "CASESENSITIVE")
_TEXT = ("TEXT", "NOSTEM")
_TAGS = ("tel", "mailto", "name", "sip", "tag", "analysis", "dialog", "adapter", "state", "form", "signature", "v")
SCHEMA: tuple[str, ...] = (
    *("ON", "HASH", "PREFIX", "1", keys.search(""), "NOHL", "NOFREQS", "STOPWORDS", "0", "SCHEMA"),
    *(part for name in _TAGS for part in (name, *_TAG)),
    *(part for name in ("names", "subject", "text") for part in (name, *_TEXT)),
    *("created", "NUMERIC", "SORTABLE", "started", "NUMERIC"),
    *("uuid", "TAG", "SORTABLE", "UNF", "NOINDEX"),  # only to sort by and to be given back
)
NAME = f"{ALIAS}:{INPUTS}:{hashlib.blake2b(' '.join(SCHEMA).encode(), digest_size=4).hexdigest()}"
"""The index of this version of the code."""
_OURS = re.compile(rf"{ALIAS}:([0-9]+):[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class IndexState:
    """``name``: the index that answers. ``indexing``: it is being built and knows a part of the vCons only (after a
    restart, or when it is new). ``documents``: vCons in it. ``current``: it is this code's, or a newer one's."""

    name: str
    indexing: bool
    documents: int
    current: bool


def state(client: Redis) -> IndexState | None:
    """The index that answers at present; None: there is none."""
    return state_of(info(client, ALIAS))


def state_of(found: Mapping[str, Any] | None) -> IndexState | None:
    """The state in an answer to FT.INFO."""
    if found is None:
        return None
    name = text(found["index_name"])
    return IndexState(name, _busy(found), int(found["num_docs"]), name == NAME or version(name) > INPUTS)


def ensure(client: Redis, wait: float = 60.0) -> IndexState:
    """Make the index if it is not there, and let it answer when it is complete; older ones are then dropped. Waits up
    to ``wait`` seconds for that; where it takes longer the old one goes on answering (a first one answers at once, with
    what it has), and calling again finishes the work. Raises :class:`StoreUnavailable`."""
    deadline = time.monotonic() + wait
    while True:
        answering = state(client)
        if answering is not None and version(answering.name) > INPUTS:
            return answering
        _try(client, "FT.CREATE", NAME, *SCHEMA)
        if answering is None:
            _try(client, "FT.ALIASADD", ALIAS, NAME)
            continue
        built = info(client, NAME)
        if built is not None and not _busy(built):
            if answering.name != NAME:
                _try(client, "FT.ALIASUPDATE", ALIAS, NAME)
            _drop_older(client)
            return state(client) or answering
        if time.monotonic() >= deadline:
            return answering
        time.sleep(POLL)


def _drop_older(client: Redis) -> None:
    """The hashes stay."""
    with explained():
        names = cast("list[Any]", client.execute_command("FT._LIST"))  # type: ignore[no-untyped-call]
    for name in map(text, names):
        if name != NAME and _OURS.fullmatch(name) and version(name) <= INPUTS:
            _try(client, "FT.DROPINDEX", name)


_BEATEN = ("index already exists", "alias already exists", "unknown index name", "no such index")
"""What RediSearch says when another process was first, in lower case."""


def _try(client: Redis, *command: str) -> None:
    """Run a command that another process may have run just now."""
    import redis

    with explained():
        try:
            client.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            if not any(reason in str(error).lower() for reason in _BEATEN):
                raise


def is_missing(error: object) -> bool:
    """True if RediSearch says that there is no such index."""
    told = str(error).lower()
    return "no such index" in told or "unknown index name" in told


def info(client: Redis, name: str) -> dict[str, Any] | None:
    """What RediSearch tells of an index, None: there is none."""
    import redis

    with explained():
        try:
            return members(client.execute_command("FT.INFO", name))  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            if is_missing(error):
                return None
            raise


def members(reply: Any) -> dict[str, Any]:
    """A map of RediSearch's, which is a list of names and values on a RESP2 connection."""
    if not isinstance(reply, Mapping):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    return {text(name): value for name, value in reply.items()}


def text(value: Any) -> str:
    """A reply's text, whatever the client makes of bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def version(name: str) -> int:
    """The version of the index of this name, 0 for one that is not ours."""
    found = _OURS.fullmatch(name)
    return int(found[1]) if found else 0


def _busy(found: Mapping[str, Any]) -> bool:
    return float(found["indexing"]) != 0 or float(found["percent_indexed"]) < 1

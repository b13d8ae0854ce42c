"""Which Redis belongs to which object store.

Redis alone knows who refers to what in the object store. A Redis that was emptied, put back to an older state or
exchanged knows less than there is, and a sweep that believed it would delete recordings. So both carry the same random
id, and both count the sweeps: where they differ, nothing is created and nothing is deleted until
``vcon-platform store rebuild`` made them agree.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.connection import explained as redis_explained
from vcon_platform.store.objects import describe, explained

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis

LABEL = "store.json"
"""The object that says which store this is."""
MEDIA = "media"
"""The prefix of the bodies (``media.py``)."""
BEGINNING = 0.3
"""Seconds that somebody may take from the first to the second write of a new store."""
_CURE = "run 'vcon-platform store rebuild'"


class StoreMismatch(PlatformError):
    """Redis and the object store do not belong together, or one of them lost what it knew. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Label:
    id: str
    sweeps: int


def _read(objects: ObjectStore) -> _Label | None:
    import obstore

    try:
        with explained(objects):  # get, not head: only its answer tells a missing object from a missing bucket
            value = orjson.loads(bytes(obstore.get(objects, LABEL).bytes()))
        return _Label(str(value["id"]), int(value["sweeps"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise StoreMismatch(f"{LABEL} in {describe(objects)} cannot be read; {_CURE}") from None


def _write(objects: ObjectStore, label: _Label, *, new: bool = False) -> None:
    import obstore

    with explained(objects):
        value = orjson.dumps({"id": label.id, "sweeps": label.sweeps})
        obstore.put(objects, LABEL, value, mode="create" if new else "overwrite")


def identify(client: Redis, objects: ObjectStore) -> str:
    """The id that both carry. Two that were never used get one. Raises :class:`StoreMismatch` where they differ."""
    from obstore.exceptions import AlreadyExistsError

    with redis_explained():
        known = cast("bytes | None", client.get(keys.IDENTITY))
        label = _read(objects)
        if known is None and label is None:
            if _holds_media(objects):
                raise StoreMismatch(f"{describe(objects)} holds media, and Redis knows of none of them; {_CURE}")
            with suppress(AlreadyExistsError):  # somebody else began at the same moment
                _write(objects, _Label(os.urandom(16).hex(), 0), new=True)
            label = _read(objects)
            if label is not None:
                client.set(keys.IDENTITY, label.id, nx=True)
            known = cast("bytes | None", client.get(keys.IDENTITY))
        elif known is None:
            known = _told_soon(client)
    return _same(known, label, objects)


def _told_soon(client: Redis) -> bytes | None:
    """What Redis knows in a moment: somebody else may be between the two writes of a new store."""
    began = time.monotonic()
    known: bytes | None = None
    while known is None and time.monotonic() - began < BEGINNING:
        time.sleep(0.01)
        known = cast("bytes | None", client.get(keys.IDENTITY))
    return known


def _same(known: bytes | None, label: _Label | None, objects: ObjectStore) -> str:
    if label is None:
        raise StoreMismatch(f"{describe(objects)} is not the object store that Redis knows: it was emptied; {_CURE}")
    if known is None:
        raise StoreMismatch(f"Redis was emptied: it knows nothing of what {describe(objects)} holds; {_CURE}")
    if known.decode(errors="replace") != label.id:
        raise StoreMismatch(f"Redis belongs to another object store than {describe(objects)}; {_CURE}")
    return label.id


def _holds_media(objects: ObjectStore) -> bool:
    import obstore

    with explained(objects):
        return next(iter(obstore.list(objects, MEDIA, chunk_size=1)), None) is not None


def begin_sweep(client: Redis, objects: ObjectStore) -> int:
    """Count a sweep in both and give its number. Raises :class:`StoreMismatch` where Redis must not be believed.

    Redis counts first, so a crash in between leaves it ahead by one, which is no fault; behind, it is an older state.
    """
    with redis_explained():
        store_id = identify(client, objects)
        label = _read(objects)
        counted = int(cast("bytes | None", client.get(keys.STORE_SWEEPS)) or 0)
        if label is None or counted < label.sweeps:
            raise StoreMismatch(
                f"Redis knows less than {describe(objects)} holds: it was put back to an older state, or its last "
                f"rebuild was not complete; {_CURE}"
            )
        number = client.incr(keys.STORE_SWEEPS)
    _write(objects, _Label(store_id, number))
    return number


def adopt(client: Redis, objects: ObjectStore, *, complete: bool = True) -> str:
    """Make Redis carry the object store's id. Only for who just rebuilt Redis from it, references to media included:
    this is the word that everything is known again. ``complete=False``: not everything could be read; vCons may be
    written again, but media are not swept before a later rebuild was complete."""
    label = _read(objects)
    if label is None:
        label = _Label(os.urandom(16).hex(), 0)
        _write(objects, label)
    with redis_explained():
        client.set(keys.STORE_SWEEPS, label.sweeps if complete else label.sweeps - 1)
        client.set(keys.IDENTITY, label.id)
    return label.id

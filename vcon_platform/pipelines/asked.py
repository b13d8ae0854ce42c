"""What a processor asked for while it worked on a conversation: new vCons, jobs, effects. Noted with who asked.

Belongs here: whether it can be kept. Not here: when it happens (``settling.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.pipelines.batch import AskedEffect, Item
from vcon_platform.processors.base import Effect, PermanentError, Processor, ProcessorIO
from vcon_platform.store import keys
from vcon_platform.store.jobs import PRIORITIES
from vcon_platform.vcon.document import Change, Envelope, Vcon


class NotKeepable(PermanentError):
    """A processor made something that cannot be kept."""

    code = "not_keepable"


@dataclass(frozen=True, slots=True)
class Before:
    """A vCon as it was before a processor: how many changes it had, and which form."""

    changes: int
    envelope: Envelope | None

    @classmethod
    def of(cls, io: ProcessorIO) -> list[Before]:
        """Each of a conversation's."""
        return [cls(len(vcon.changes), vcon.envelope) for vcon in io.vcons]

    def since(self, vcon: Vcon) -> Sequence[Change]:
        """The changes made since; all of them where it was given another form, which begins without any."""
        return vcon.changes[self.changes :] if vcon.envelope is self.envelope else vcon.changes


def changed(io: ProcessorIO, before: Sequence[Before]) -> bool:
    """True if vCons were changed since."""
    pairs = zip(io.vcons, before, strict=False)
    return any(vcon.envelope is not each.envelope or bool(each.since(vcon)) for vcon, each in pairs)


def check(io: ProcessorIO, before: Sequence[Before], name: str) -> None:
    """Raise :class:`NotKeepable` unless what the processor ``name`` made is JSON: the commit and the checkpoint of the
    whole batch rely on it."""
    try:
        for vcon, each in zip(io.vcons, before, strict=False):
            for change in each.since(vcon):
                orjson.dumps(change.value)
        if io.parameters:
            orjson.dumps(io.parameters)
        for told in io.recorded:
            EventKind(told.event)
            orjson.dumps(told.detail)
    except TypeError:
        raise NotKeepable(
            f"processor {name} left a value in a vCon, a parameter or a record that JSON cannot hold; texts, "
            "numbers, booleans, lists and objects with texts as names can be kept"
        ) from None
    except ValueError:
        raise NotKeepable(
            f"processor {name} recorded something that the ledger has no word for; use one of EventKind"
        ) from None


def take_down(
    item: Item, name: str, processor: Processor[Any], created: EventForm, vcons: int, queued: int, effects: int
) -> None:
    """Note on the item who asked for what, from these numbers of vCons, jobs and effects on. ``name``: the step's.
    Raises :class:`NotKeepable`, and NameRefused for a queue that cannot be."""
    io = item.io
    known = {vcon.uuid for vcon in io.vcons[:vcons]}
    for vcon in io.vcons[vcons:]:
        if vcon.uuid in known:
            raise NotKeepable(f"processor {name} added a vCon of a uuid that the conversation has already")
        known.add(vcon.uuid)
        vcon.to_bytes()
        if not any(vcon is each for each in io.added):
            io.added.append(vcon)
        item.created[vcon.uuid] = created.event(vcon.uuid, 1, job=item.job.id, **{"from": item.job.vcon_uuids[0]})
    for asked in io.queued[queued:]:
        keys.queue(asked.queue)
        if asked.priority not in PRIORITIES:
            raise NotKeepable(f"processor {name} asked for a job of priority {asked.priority!r}: there is none")
        parameters = orjson.loads(orjson.dumps(asked.parameters))  # as they are now
        uuids = tuple(asked.vcon_uuids) or item.job.vcon_uuids
        item.queued.append(replace(asked, vcon_uuids=uuids, parameters=parameters))
    for effect in io.effects[effects:]:
        body, about = orjson.loads(orjson.dumps([effect.body, effect.about], option=orjson.OPT_NON_STR_KEYS))
        kept = Effect(body, str(effect.summary), about)
        item.effects.append(AskedEffect(name, processor.name, processor.version, kept))

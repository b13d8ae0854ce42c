"""The names of everything this platform keeps in Redis. One place, so that no two rooms disagree.

``vcon:``, ``queue:`` and the channel ``vcon:created`` are a contract with outside readers (both existing servers
use the same); the rest is ours.
"""

from __future__ import annotations

import re

from vcon_platform.errors import PlatformError

OUTBOX = "ledger:outbox"
"""Stream of ledger events on their way to Postgres."""
LEASES = "leases"
"""Sorted set: batch id by the time its lease ends (ms)."""
ATTEMPTS = "attempts"
"""Hash: how often a job was leased."""
QUEUES = "queues"
"""Set: names of queues that something entered. py_vcon_server's name and convention."""
PAUSED = "paused"
"""Set: names of queues from which nothing is leased until they are resumed."""
EFFECTS = "effects:waiting"
"""List: what is to be done outside (mails), put there by the commits that ask for it."""
EFFECTS_KEPT = "effects:kept"
"""Hash: effect key to effect, for those that left the waiting list and are not carried out."""
EFFECTS_TRIES = "effects:tries"
"""Hash: effect key to how often it was begun."""
EFFECTS_OWNERS = "effects:owners"
"""Hash: effect key to who began it last."""
EFFECTS_REASONS = "effects:reasons"
"""Hash: effect key to why it was not carried out."""
REPROCESSING = "reprocess:under_way"
"""Hash: origin to what a reprocessing is about, until its last job has ended."""
REPROCESSED = "reprocess:queued"
"""Hash: origin to how many jobs it has queued."""
LISTING = "vcons"
"""Sorted set: ``vcon:{uuid}`` by created_at in seconds. The conserver's name and convention."""
REMOVED = "vcons:removed"
"""Hash: uuid to the revision at which a vCon was removed. One that is posted anew goes on after it."""
REMOVING = "vcons:removing"
"""Hash: uuid to what is left of a removed vCon in the archive, until that is gone too."""
IDENTITY = "store:id"
"""String: which object store this Redis belongs to. Without it nothing is created (``identity.py``)."""
STORE_SWEEPS = "store:sweeps"
"""Counter: sweeps of the media so far. The object store counts too: a Redis behind it was put back to an older one."""
MEDIA_PINS = "media:pins"
"""Sorted set: media token by the time (s) until which no sweep may touch it, though no document refers to it yet."""
MEDIA_ASIDE = "media:aside"
"""Sorted set: media token by the time (s) a sweep set it aside."""
MEDIA_SWEEP = "media:sweep"
"""Lock: who sweeps the media."""
MEDIA_CURSOR = "media:sweep:cursor"
"""String: the folder of the media that the next sweep begins with."""
FAIRNESS = "dispatch:fairness"
"""Hash: how far each pipeline is ahead of the one that is furthest behind, in virtual time."""
WEIGHTS = "dispatch:weights"
"""Hash: queue to a weight that an operator gave it in place of its definition's."""
RATES = "dispatch:rates"
"""Hash: pipeline to the JSON of its measured rate."""

API_KEYS = "access:keys"
"""Hash: id of an API key to its record; of the key itself only a hash."""

SERVERS = "servers"
"""Hash: key of a process of the REST API to its state (JSON). py_vcon_server's name and convention."""
PIPELINES = "pipelines"
"""Set: names of the pipelines whose definitions are stored here. py_vcon_server's name and convention."""
PIPELINE_CHANGES = "pipelines:changes"
"""Counter: grows with every change of a stored definition."""
PIPELINES_LIVE = "pipelines:live"
"""Hash: pipeline to the definition (JSON) that a code server loaded last."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class NameRefused(PlatformError):
    """A queue's name that could collide with other keys or cannot be a Dagster name."""


def document(uuid: str) -> str:
    """RedisJSON: the vCon."""
    return f"vcon:{uuid}"


def meta(uuid: str) -> str:
    """Hash: revision, day, adapter, source id of a vCon."""
    return f"meta:{uuid}"


def search(uuid: str) -> str:
    """Hash: what a vCon is found by; the search index' input."""
    return f"search:{uuid}"


def queue(name: str) -> str:
    """List: the jobs of normal priority of the pipeline of that name, head first."""
    if not _NAME.fullmatch(name):
        raise NameRefused(f"queue {name!r}: use letters, digits, '_', '.', '-' (at most 100, no colon)")
    return f"queue:{name}"


def entry(name: str, priority: str) -> str:
    """List: the jobs of one priority (``urgent``, ``normal``, ``low``) of a queue, head first."""
    return queue(name) if priority == "normal" else f"{queue(name)}:{priority}"


def later(name: str) -> str:
    """Sorted set: jobs of a queue that wait for their time, by that time (s)."""
    return f"{queue(name)}:later"


def waiting(name: str) -> str:
    """Hash: dedupe text to when which job took it, of the jobs that wait in a queue. The same name is built in the
    scripts."""
    return f"{queue(name)}:waiting"


def dead(pipeline: str) -> str:
    """List: the jobs that failed for good, each with its error."""
    return f"dead:{pipeline}"


def batch(batch_id: str) -> str:
    """Hash: owner (the run that works on it) and queue of a leased batch."""
    return f"batch:{batch_id}"


def batch_jobs(batch_id: str) -> str:
    """Hash: job id to job, the jobs of a batch that have no outcome yet."""
    return f"batch:{batch_id}:jobs"


def batch_order(batch_id: str) -> str:
    """List: ids of a batch's jobs in the order they were leased, each with the letter of its priority before it."""
    return f"batch:{batch_id}:order"


def pool(name: str) -> str:
    """Sorted set: who holds a slot of a pool, by the time (ms) at which that ends by itself."""
    return f"pool:{name}"


def generations(projection: str) -> str:
    """Hash: day to a counter that grows with every change of a row of that day."""
    return f"rows:{projection}"


def rows(projection: str, day: str) -> str:
    """Hash: uuid to row hash, the rows that a projection has on a day."""
    return f"rows:{projection}:{day}"


def landed(projection: str, destination: str) -> str:
    """Hash: day to the generation that a destination has landed."""
    return f"landed:{projection}:{destination}"


def folder_lock(target: str) -> str:
    """Lock: who changes a folder of files that rows land in."""
    return f"landing:folder:{target}"


def landing_trouble(projection: str, destination: str) -> str:
    """Hash: how often in a row a destination could not be landed, why, and until when (s) it is left alone."""
    return f"landed:{projection}:{destination}:trouble"


def sent(projection: str, destination: str, target: str) -> str:
    """What was sent of a projection to a destination that cannot be asked; target: a digest of where it goes.
    ``:days`` hash of uuid to day, ``:on:{day}`` hashes of uuid to what was sent, ``:counters`` hash."""
    return f"sent:{projection}:{destination}:{target}"


def result(digest: str) -> str:
    """String: a paid-for result."""
    return f"result:{digest}"


def once(name: str) -> str:
    """Hash: a request that is carried out once, and the answer to it."""
    return f"once:{name}"


def once_marks(name: str) -> str:
    """List: marks of such a request, the first that it began, the second that what it asked for came true."""
    return f"once:{name}:marks"


def account(pipeline: str, period: str) -> str:
    """Hash: what a pipeline used in a period: a day (``2026-07-30``), a month (``2026-07``), or ``total``."""
    return f"account:{pipeline}:{period}"


def run_account(run_id: str) -> str:
    """Hash: what a run used."""
    return f"account:run:{run_id}"


def accounted(event_id: str) -> str:
    """String: that the use of this event stands in the accounts, for as long as it may be told twice."""
    return f"accounted:{event_id}"


def seen(adapter: str) -> str:
    """Hash: source item to fingerprint, what an adapter has taken."""
    return f"adapter:{adapter}:seen"


def problems(adapter: str) -> str:
    """Hash: source item to what is wrong with it, for records an adapter could not read."""
    return f"adapter:{adapter}:problems"


def media_refs(token: str) -> str:
    """Set: the vCons that refer to a body in the media store. The same name is built in ``create.lua`` and
    ``commit.lua``."""
    return f"mediarefs:{token}"


def fetched(digest: str) -> str:
    """Hash: what was fetched from an outside url: token, size, time."""
    return f"fetched:{digest}"


def effects(state: str) -> str:
    """Sorted set: the keys of the effects in this state (sending, sent, refused, uncertain) by the time (s) they came
    into it; of those that are tried again ``later`` by the time they are due."""
    return f"effects:{state}"


def streams(pipeline: str) -> str:
    """Hash: run id to the JSON of a stream run's announcement and last beat."""
    return f"stream:{pipeline}"


def stream_drain(pipeline: str) -> str:
    """String: the JSON of a request that the stream runs of this pipeline end."""
    return f"stream:{pipeline}:drain"


def stream_asked(pipeline: str) -> str:
    """String: the JSON of when a stream run was asked for last, and how often since one did its work."""
    return f"stream:{pipeline}:asked"


def pipeline(name: str) -> str:
    """RedisJSON: a stored definition. py_vcon_server's name and shape."""
    return f"pipeline:{name}"


def pipeline_versions(name: str) -> str:
    """List: every version of a pipeline's definition, oldest first; the first has number 1."""
    return f"pipeline:{name}:versions"

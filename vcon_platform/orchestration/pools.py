"""The limits of Dagster's concurrency pools: how many ops of one provider are at work at once, over all runs.

An op stands for up to ``concurrency`` conversations, so what keeps a provider's limit is the engine's own slots
(``store/slots.py``), also in the stream lane and in direct runs. The pool keeps runs from standing in line for the
same slots, and shows in the UI who waits for whom. An op holds one pool at most, and only while it works: it never
waits for a second one, so no two runs can wait for each other.

Limits are set one by one: on Postgres Dagster stumbles over ``default_limit`` (dagster #33054).
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg


def set_pool_limits(instance: dg.DagsterInstance, limits: Mapping[str, int]) -> list[str]:
    """Give each pool its limit where it has another one; those that were changed. A pool that is not named keeps what
    somebody gave it by hand."""
    storage = instance.event_log_storage
    if not limits or not storage.supports_global_concurrency_limits:
        return []
    known = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    changed = [pool for pool, limit in sorted(limits.items()) if known.get(pool) != limit]
    for pool in changed:
        storage.set_concurrency_slots(pool, limits[pool])
    return changed

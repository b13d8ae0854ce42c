"""The Dagster job ``deliver_effects``: carries out what processors asked for (mails) and no run has carried out yet.

As a rule a run does so itself right after its commit. This job is for what was left: the run died in between, a
server was away and the effect is due again now, an operator had it resent. ``housekeeping`` asks for it.
"""

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from vcon_platform.pipelines.deliveries import UNCERTAIN_SECONDS, deliver, effects_outbox
from vcon_platform.processors.base import Lent
from vcon_platform.processors.registry import load_processors
from vcon_platform.settings import load_settings
from vcon_platform.store.effects import EffectsOutbox
from vcon_platform.store.opening import open_store

if TYPE_CHECKING:
    from vcon_platform.store.opening import Store

EFFECTS_TAG = "vcon/effects"
"""On its runs, so that one at most is under way."""
PATIENCE_SECONDS = 30.0
"""Effects that waited longer were left behind: the run that asked for them begins with them at once."""
ROUND_SECONDS = 5.0
"""How long it goes on without looking up; a cancelled run ends after about so long."""
RUN_SECONDS = 900.0


def deliver_due(store: "Store", owner: str, seconds: float) -> Counter[str]:
    """Carry out what is due, for about ``seconds`` at most; how many were sent, put off, refused or are uncertain."""
    outbox, processors = effects_outbox(store.client), load_processors()
    lent = Lent(store.media, store.documents)
    told: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        delivered = deliver(outbox, processors.instance, owner=owner, lent=lent, seconds=min(ROUND_SECONDS, left))
        counts = delivered.counts
        told += counts
        if not counts.total() or not outbox.due():
            break
    return told


def waited(outbox: EffectsOutbox, now: float) -> float:
    """Seconds that the longest waiting of the due effects waits; 0 if none is due. Puts aside those that died."""
    outbox.settle_uncertain(UNCERTAIN_SECONDS)
    since = [effect.at for effect in outbox.entries("waiting", 1)] + [
        effect.since for effect in outbox.entries("later", 1)
    ]
    return max((now - moment for moment in since), default=0.0)


@dg.op(
    description="Carries out the effects that are due, until none is, or 15 minutes are over.",
    out=dg.Out(dg.Nothing),
    required_resource_keys={"redis", "object_store"},
)
def deliver_now(context: dg.OpExecutionContext) -> Any:
    """Each effect is carried out once, whoever else delivers at the same time."""
    resources = context.resources
    store = open_store(load_settings(), client=resources.redis.client(), objects=resources.object_store.objects())
    told = deliver_due(store, context.run_id, RUN_SECONDS)
    yield dg.Output(None, metadata={name: told[name] for name in ("sent", "later", "refused", "uncertain")})


@dg.job(
    name="deliver_effects",
    description="Sends what runs asked for and could not send themselves. Started by the sensor housekeeping.",
    tags={EFFECTS_TAG: "true"},
)
def deliver_effects() -> None:
    """See the module."""
    deliver_now()

"""What a run tells in the UI: counts, and the conversations that failed by uuid. Never personal data."""

from collections.abc import Mapping

import dagster as dg

from vcon_platform.pipelines.batch import Settled
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.pipelines.steps import StepReport
from vcon_platform.store import keys
from vcon_platform.store.connection import StoreUnavailable

NAMED = 50
"""How many failed conversations a run names; the dead queue has them all."""


def step_metadata(report: StepReport) -> dict[str, dg.MetadataValue]:
    """What one processor did."""
    metadata: dict[str, dg.MetadataValue] = {
        "processed": dg.MetadataValue.int(report.processed),
        "skipped": dg.MetadataValue.int(report.skipped),
        "filtered": dg.MetadataValue.int(report.filtered),
        "failed": dg.MetadataValue.int(report.failed),
    }
    return metadata | _asked_for(report)


def _asked_for(told: StepReport | Settled) -> dict[str, dg.MetadataValue]:
    """What does not occur in most pipelines is told where it does."""
    counts = {"retried_later": told.retried, "jobs_queued": told.queued, "effects_asked_for": told.effects}
    return {name: dg.MetadataValue.int(count) for name, count in counts.items() if count}


def sent_metadata(told: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    """What became of the effects that were due when the run ended: its own, and older ones."""
    return {f"effects_{name}": dg.MetadataValue.int(count) for name, count in sorted(told.items()) if count}


def bought_metadata(purchasing: Purchasing | None, run_id: str) -> dict[str, dg.MetadataValue]:
    """What the run bought, where it bought anything. Without Redis nothing is told: the ledger will know."""
    if purchasing is None:
        return {}
    try:
        used = purchasing.used_by_run(run_id)
    except StoreUnavailable:
        return {}
    if not used.calls:
        return {}
    metadata: dict[str, dg.MetadataValue] = {"bought_calls": dg.MetadataValue.int(used.calls)}
    if used.seconds:
        metadata["bought_seconds_of_audio"] = dg.MetadataValue.float(round(used.seconds, 3))
    if used.tokens:
        metadata["bought_tokens"] = dg.MetadataValue.int(used.tokens)
    if used.price or not used.unpriced:
        name = "bought_price" + (f"_{currency}" if (currency := purchasing.currency()) else "")
        metadata[name] = dg.MetadataValue.float(round(float(used.price), 6))
    if used.unpriced:
        metadata["bought_without_price"] = dg.MetadataValue.text(", ".join(used.unpriced))
    return metadata


def _failures_table(settled: Settled) -> dg.MetadataValue:
    columns = [
        dg.TableColumn("vcon_uuid", "string", description="The conversation that failed"),
        dg.TableColumn("processor", "string", description="Where"),
        dg.TableColumn("code", "string", description="What kind of failure"),
        dg.TableColumn("reason", "string", description="Why, and what to do"),
        dg.TableColumn("attempts", "int", description="How often its job was leased"),
    ]
    records = [
        dg.TableRecord(
            {
                "vcon_uuid": uuid,
                "processor": verdict.processor or "",
                "code": verdict.code,
                "reason": verdict.reason,
                "attempts": settled.attempts.get(uuid, 0),
            }
        )
        for uuid, verdict in list(settled.failures.items())[:NAMED]
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def settled_metadata(definition: Definition, batch_id: str, settled: Settled) -> dict[str, dg.MetadataValue]:
    """What became of a batch."""
    metadata: dict[str, dg.MetadataValue] = {
        "batch_id": dg.MetadataValue.text(batch_id),
        "pipeline_version": dg.MetadataValue.text(definition.version),
        "conversations": dg.MetadataValue.int(settled.counts.total()),
        "done": dg.MetadataValue.int(settled.counts["done"]),
        "filtered": dg.MetadataValue.int(settled.counts["filtered"]),
        "failed": dg.MetadataValue.int(settled.counts["failed"]),
    }
    for processor, count in sorted(settled.filtered_by.items()):
        metadata[f"filtered_by_{processor}"] = dg.MetadataValue.int(count)
    metadata |= _asked_for(settled)
    if settled.handed_back:
        metadata["handed_back"] = dg.MetadataValue.int(settled.handed_back)
    if settled.lost:
        metadata["lost_to_another_run"] = dg.MetadataValue.int(settled.lost)
    if settled.failures:
        metadata["failures"] = _failures_table(settled)
    return metadata


def red(definition: Definition, settled: Settled) -> dg.Failure:
    """The failure that turns a run red when jobs went to the dead (or failure) queue."""
    failed = settled.counts["failed"]
    queue = definition.options.failure_queue
    where = keys.queue(queue) if queue else keys.dead(definition.name)
    names = "\n".join(
        f"- {uuid}: {verdict.processor or 'lease'}: {verdict.reason}"
        for uuid, verdict in list(settled.failures.items())[:NAMED]
    )
    others = settled.counts.total() - failed
    return dg.Failure(
        description=(
            f"{failed} of {settled.counts.total()} conversations failed and wait in {where}; the other {others} are "
            f"settled. Mend the cause, then re-execute this run: it takes up exactly the failed ones.\n{names}"
        ),
        metadata={"failures": _failures_table(settled), "failed": failed},
        allow_retries=False,
    )

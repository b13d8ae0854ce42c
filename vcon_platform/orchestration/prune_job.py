"""The Dagster job ``prune``: old details of runs go by age. The policy is in ``prune.py``, its hour in ``sensors/``."""

from typing import TYPE_CHECKING, Any, Protocol, cast

import dagster as dg

from vcon_platform.orchestration.op_retries import retried
from vcon_platform.orchestration.prune import prune_events, prune_folders
from vcon_platform.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


class HasEngine(Protocol):
    """A resource that gives an SQLAlchemy engine."""

    def engine(self) -> "Engine": ...


class PruneConfig(dg.Config):
    """How old is too old, for one run; the setting VCON_RUN_DETAIL_DAYS says it for all."""

    days: int = 0
    """0: as the setting says."""
    seconds: float = 600.0


@dg.op(
    description="Deletes the details of finished runs (engine events, inputs and outputs, log lines) and what runs "
    "printed, after VCON_RUN_DETAIL_DAYS. Materializations, failures, starts and ends, runs and tags stay for ever.",
    out=dg.Out(dg.Nothing),
    required_resource_keys={"postgres"},
)
def prune_runs(context: dg.OpExecutionContext, config: PruneConfig) -> Any:
    """One round; what it could not finish in ``seconds`` is left for the next."""
    settings = load_settings()
    days = config.days or settings.run_detail_days
    with retried(context):
        engine = cast("HasEngine", context.resources.postgres).engine()
        pruned = prune_events(engine, days=days, seconds=config.seconds)
        logs = prune_folders(settings.data_dir / "compute_logs", days=days)
        logs += prune_folders(settings.data_dir / "artifacts" / "storage", days=days)
    yield dg.Output(
        None,
        metadata={
            "rows_deleted": sum(pruned.rows.values()),
            "deleted_by_type": dg.MetadataValue.json(pruned.rows),
            "complete": pruned.complete,
            "rows_left": pruned.rows_left,
            "megabytes_left": round(pruned.bytes_left / 1e6, 1),
            "folders_deleted": logs,
        },
    )


@dg.job(name="prune", description="Deletes what runs leave behind and nobody reads any more, by age.")
def prune() -> None:
    """The schedule ``prune`` runs it every night."""
    prune_runs()

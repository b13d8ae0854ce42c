"""The nightly schedule of the job ``prune``."""

import dagster as dg

from vcon_platform.orchestration.prune_job import prune

prune_schedule = dg.ScheduleDefinition(
    name="prune_nightly",
    job=prune,
    cron_schedule="17 3 * * *",  # UTC; not on the hour, when everything else starts
    execution_timezone="UTC",
    description="Deletes old details of runs every night.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

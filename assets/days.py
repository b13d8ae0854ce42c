"""The partitions of everything that is by day: UTC days from ``VCON_PARTITIONS_START`` to today."""

from datetime import date

import dagster as dg


def daily(start: date) -> dg.DailyPartitionsDefinition:
    """Days in UTC. ``end_offset=1``: today is a partition already, its rows do not wait for midnight."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)

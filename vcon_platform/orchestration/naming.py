"""The names Dagster knows us by. In one code location every op and graph name must be unique, so they all come
from here (reference: Dagster requires ``^[A-Za-z0-9_]+$``; asset key parts may hold anything)."""

from __future__ import annotations

from collections.abc import Sequence

PIPELINE_TAG = "vcon/pipeline"
"""On every run of a pipeline's Dagster jobs; the dispatcher counts the runs under way by it."""
VERSION_TAG = "vcon/version"
LANE_TAG = "vcon/lane"
"""``batch``, ``urgent`` or ``stream``; dagster.yaml limits how many of each are under way."""
LIMIT_TAG = "vcon/limit"
"""The most jobs that a run of the dispatcher's leases."""
LANDING_TAG = "vcon/landing"
"""On every run that lands projections."""


def source_key(adapter: str) -> list[str]:
    """The asset of what an adapter captures as it happens."""
    return ["sources", adapter]


def history_key(adapter: str) -> list[str]:
    """The asset of what an adapter's archive holds, partitioned by day."""
    return ["sources", f"{adapter}_history"]


def pipeline_key(pipeline: str) -> list[str]:
    """The asset of a pipeline."""
    return ["pipelines", pipeline]


def reprocess_key(pipeline: str) -> list[str]:
    """The asset by which a pipeline's days are reprocessed."""
    return ["reprocess", pipeline]


def projection_key(projection: str, destination: str) -> list[str]:
    """The asset of a projection in one destination."""
    return ["projections", projection, destination]


def input_name(source: Sequence[str]) -> str:
    """The graph input through which a source's asset feeds a pipeline."""
    return "_".join(source)


def graph_name(pipeline: str) -> str:
    """The graph of a pipeline's ops; step keys read ``{graph}.{step}``."""
    return f"{pipeline}__steps"


def op_name(pipeline: str, step: str) -> str:
    """The definition of one op; the graph shows it under its alias, the step's own name."""
    return f"{pipeline}__{step}"


def stream_name(pipeline: str) -> str:
    """The Dagster job of a pipeline's stream lane; its op's definition has ``_op`` behind it, its alias is stream."""
    return f"{pipeline}__stream"

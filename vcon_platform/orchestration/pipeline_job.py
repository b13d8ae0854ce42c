"""One Dagster job per pipeline definition: lease, one op per processor, settle; and the asset that stands for it.

The graph is an asset as well (``AssetsDefinition.from_graph``), because bare op jobs are invisible in the asset graph:
no lineage, nothing for a projection to depend on. Policy (options, retries, tags) therefore sits on the ops, never on
the Dagster job's config: a run started from the asset page knows nothing of the latter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.lineage import pipeline_metadata
from vcon_platform.orchestration.pipeline_ops import docs_of, lease_op, run_tags, settle_op, step_op
from vcon_platform.pipelines.definition import Definition
from vcon_platform.projections.model import Projection


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """What one definition becomes."""

    asset: dg.AssetsDefinition
    job: Any


def build_pipeline(
    definition: Definition, sources: Sequence[Sequence[str]], projections: Mapping[str, Projection]
) -> PipelineParts:
    """The asset and the Dagster job of a pipeline. ``sources``: the asset keys that feed its queue."""
    graph = _graph(definition, sources, projections)
    key = dg.AssetKey(naming.pipeline_key(definition.name))
    asset = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name={naming.input_name(source): dg.AssetKey(source) for source in sources},
        keys_by_output_name={"result": key},
        group_name="pipelines",
        descriptions_by_output_name={"result": _description(definition)},
        metadata_by_output_name={
            "result": {**_metadata(definition), **pipeline_metadata(definition, sources, projections.values())}
        },
        code_versions_by_output_name={"result": definition.version},
    )
    job = dg.define_asset_job(
        definition.name,
        selection=dg.AssetSelection.assets(key),
        description=_description(definition),
        tags=run_tags(definition),
    )
    return PipelineParts(asset, job)


def _description(definition: Definition) -> str:
    label = definition.options.label or f"Pipeline {definition.name}"
    steps = " → ".join(step.name for step in definition.steps)
    return "\n\n".join(part for part in (f"{label}: {steps}", definition.options.notes) if part)


def _metadata(definition: Definition) -> dict[str, Any]:
    """What stands on the asset's page: what runs, of which version, from where, and how."""
    options = definition.options
    docs = {step.processor.name: docs_of(step.processor) for step in definition.steps}
    return {
        "pipeline": definition.name,
        "version": definition.version,
        "source": definition.source,
        "lane": options.lane,
        "processors": " → ".join(step.name for step in definition.steps) or "none",
        "feeds": ", ".join(options.feeds) or "none",
        "options": dg.MetadataValue.json(options.model_dump(mode="json", exclude_defaults=True)),
        "docs": dg.MetadataValue.md("\n".join(f"- {name}: {place}" for name, place in sorted(docs.items())) or "none"),
    }


def _graph(
    definition: Definition, sources: Sequence[Sequence[str]], projections: Mapping[str, Projection]
) -> dg.GraphDefinition:
    inputs = [naming.input_name(source) for source in sources]
    ops = [
        lease_op(definition, projections, inputs),
        *(step_op(definition, projections, position, step) for position, step in enumerate(definition.steps)),
        settle_op(definition, projections),
    ]
    names = ["lease", *(step.name for step in definition.steps), "settle"]
    dependencies: dict[dg.NodeInvocation, dict[str, Any]] = {}
    for index, (op, name) in enumerate(zip(ops, names, strict=True)):
        upstream = {"batch": dg.DependencyDefinition(names[index - 1], "batch")} if index else {}
        dependencies[dg.NodeInvocation(op.name, alias=name)] = upstream
    return dg.GraphDefinition(
        name=naming.graph_name(definition.name),
        description=_description(definition),
        node_defs=ops,
        dependencies=dependencies,
        input_mappings=[
            dg.InputMapping(graph_input_name=name, mapped_node_name="lease", mapped_node_input_name=name)
            for name in inputs
        ],
        output_mappings=[
            dg.OutputMapping(graph_output_name="result", mapped_node_name="settle", mapped_node_output_name="result")
        ],
    )

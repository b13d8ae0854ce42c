"""Column lineage: from a table's column to the vCon members it is made of, and to who wrote these.

Dagster knows columns of assets, so each pipeline's asset has the vCon members that tables read from it as its columns:
each says which processors of the pipeline write it, and leads back to the sources where it comes from outside.
"""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.pipelines.definition import Definition, Step
from vcon_platform.projections.model import Projection

WRITES: Mapping[str, tuple[str, ...]] = {
    "analyze_and_label": ("attachments.tags",),
    "check_and_tag": ("attachments.tags",),
    "deepgram": ("analysis.transcript", "analysis.wtf_transcription"),
    "detect_engagement": ("attachments.tags",),
    "redact_audio": ("dialog",),
    "redact_text": ("dialog.body", "analysis.transcript", "parties.name"),
    "scitt": ("analysis.scitt_receipts",),
    "tag": ("attachments.tags",),
    "text_pii_redactor": ("dialog.body", "analysis.transcript"),
    "transcribe": ("analysis.transcript", "analysis.wtf_transcription"),
    "translate": ("analysis.translation", "analysis.transcript"),
    "verify": ("attachments.verification",),
    "whisper_base": ("analysis.transcript", "analysis.wtf_transcription"),
}
"""What processors write beside what their option ``analysis_type`` says."""


def table_lineage(projection: Projection) -> dg.TableColumnLineage:
    """Each column of a table, and the members it comes from in each of its pipelines."""
    return dg.TableColumnLineage(
        {
            column.name: [
                dg.TableColumnDep(asset_key=dg.AssetKey(naming.pipeline_key(pipeline)), column_name=member)
                for pipeline in projection.pipelines
                for member in projection.reads(column)
            ]
            for column in projection.columns
        }
    )


def lineage_text(projection: Projection, definitions: Mapping[str, Definition]) -> str:
    """The same for people, as Markdown: the open-source UI draws no columns. With the processors that write them."""
    lines = ["| column | comes from | written by |", "|---|---|---|"]
    for column in projection.columns:
        members = projection.reads(column)
        by = [
            f"{pipeline}: {', '.join(names)}"
            for pipeline in projection.pipelines
            if pipeline in definitions
            and (names := dict.fromkeys(name for each in members for name in writers(definitions[pipeline], each)))
        ]
        came = "as captured" if members else "the outcome of the pipeline"
        lines.append(f"| {column.name} | {', '.join(members) or '-'} | {'; '.join(by) or came} |")
    return "\n".join(lines)


def members_read(pipeline: str, projections: Iterable[Projection]) -> list[str]:
    """The vCon members that tables read from what this pipeline leaves behind."""
    return sorted(
        {
            member
            for projection in projections
            if pipeline in projection.pipelines
            for column in projection.columns
            for member in projection.reads(column)
        }
    )


def writers(definition: Definition, member: str) -> list[str]:
    """The processors of a pipeline that write this member, in the order of its steps."""
    return [step.name for step in definition.steps if _writes(step, member)]


def _writes(step: Step, member: str) -> bool:
    kind = getattr(step.options, "analysis_type", None)
    written = (*WRITES.get(step.processor.name, ()), *((f"analysis.{kind}",) if isinstance(kind, str) else ()))
    if step.processor.effects.changes and member == "vcon":
        return True
    return any(member == each or member.startswith(f"{each}.") or each.startswith(f"{member}.") for each in written)


def pipeline_metadata(
    definition: Definition, sources: Sequence[Sequence[str]], projections: Iterable[Projection]
) -> dict[str, dg.TableSchema | dg.TableColumnLineage]:
    """The columns of a pipeline's asset; nothing where no table reads from it."""
    members = members_read(definition.name, projections)
    if not members:
        return {}
    columns = []
    captured: dict[str, list[dg.TableColumnDep]] = {}
    for member in members:
        by = writers(definition, member)
        columns.append(
            dg.TableColumn(member, "json", description=f"written by {', '.join(by)}" if by else "as captured")
        )
        captured[member] = [dg.TableColumnDep(asset_key=dg.AssetKey(key), column_name=member) for key in sources]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/column_lineage": dg.TableColumnLineage(captured),
    }

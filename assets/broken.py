"""Declarations that cannot be used, shown where somebody will look for them: in the asset graph, with their fault."""

from collections.abc import Mapping

import dagster as dg


def broken_assets(broken: Mapping[str, str]) -> list[dg.AssetSpec]:
    """One asset per broken declaration; it cannot be materialized, and its description says what is wrong, and whether
    an earlier version runs on."""
    return [
        dg.AssetSpec(
            ["broken", *name.split("/")],
            description=f"BROKEN: as it stands it is not in use until it is mended.\n\n{fault}",
            group_name="broken",
            tags={"vcon/broken": "true"},
        )
        for name, fault in sorted(broken.items())
    ]

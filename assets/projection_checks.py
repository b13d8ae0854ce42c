"""Asset checks of projections: is what stands in the table what should stand there?

They are evaluated with every landing, over the days that it landed, from what the destination then says it holds and
one query of its rows. All but ``types_fit`` block: an asset that is made of the table must not be made of wrong data. A
row that does not fit is left out and named, which is no reason to stop.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from vcon_platform.projections.destination import Destination
from vcon_platform.projections.landing import LandedGroup
from vcon_platform.projections.model import Projection

NAMED = 20
"""How many uuids a check's result names."""

_LANDED, _TYPES, _ERASED = "landed_equals_eligible", "types_fit", "no_erased_present"
_UNIQUE, _REQUIRED = "key_unique", "required_not_null"


def check_specs(projection: Projection, key: dg.AssetKey, destination: type[Destination]) -> list[dg.AssetCheckSpec]:
    """The checks of a table. Those that look at the rows only where the kind of destination can."""
    told = [
        (_LANDED, True, "Every conversation that should have rows has them, as they should be, and no other has any."),
        (_ERASED, True, "No conversation that was removed from the store stands there."),
        (_TYPES, False, "Every value fits its column; rows that do not are left out and named."),
    ]
    if destination.faults is not Destination.faults:
        told += [
            (_UNIQUE, True, f"No two rows have the same key ({', '.join(projection.key)})."),
            (_REQUIRED, True, f"Nothing is empty that must not be ({', '.join(projection.never_empty)})."),
        ]
    return [
        dg.AssetCheckSpec(name, asset=key, description=description, blocking=blocking)
        for name, blocking, description in told
    ]


def check_results(
    projection: Projection, key: dg.AssetKey, destination: type[Destination], groups: Sequence[LandedGroup]
) -> Iterator[dg.AssetCheckResult]:
    """What the checks say of these days, which were landed just now."""
    settled = [group for group in groups if group.settled]
    wrong = [uuid for group in settled for uuid in group.landed.wrong]
    erased = [uuid for group in groups for uuid in group.erased]
    rejected = [each for group in groups for each in group.landed.rejected]
    days = sum(len(group.days) for group in groups)
    figures = {
        "days": days,
        "eligible": sum(group.eligible for group in groups),
        "landed": sum(len(group.landed.held) for group in groups),
    }
    if len(settled) < len(groups):
        figures["days_changing_meanwhile"] = days - sum(len(group.days) for group in settled)

    def result(
        name: str, metadata: dict[str, int | str], *, passed: bool, severity: dg.AssetCheckSeverity
    ) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            check_name=name, asset_key=key, passed=passed, severity=severity, metadata={"days": days, **metadata}
        )

    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    yield result(_LANDED, {**figures, **_named("wrong", wrong)}, passed=not wrong, severity=error)
    yield result(_ERASED, _named("erased", erased), passed=not erased, severity=error)
    misfits = [f"{each.uuid}, column {each.column or '?'}: {each.reason}" for each in rejected]
    yield result(_TYPES, _named("rejected", misfits), passed=not rejected, severity=warn)
    if destination.faults is not Destination.faults:
        faults = [group.faults for group in groups if group.faults is not None]
        twice = sum(each.duplicates for each in faults)
        yield result(_UNIQUE, {"keys_there_twice": twice}, passed=not twice, severity=error)
        empty = {name: sum(each.empty.get(name, 0) for each in faults) for name in projection.never_empty}
        yield result(
            _REQUIRED,
            {f"empty {name}": count for name, count in empty.items() if count},
            passed=not any(empty.values()),
            severity=error,
        )


def _named(what: str, names: Sequence[str]) -> dict[str, int | str]:
    if not names:
        return {what: 0}
    return {what: len(names), f"{what}_named": "\n".join(names[:NAMED])}

"""A processor's options as an op's config, so that the Launchpad shows and overrides them for one run."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster_shared.check import CheckError
from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from vcon_platform.processors.base import ProcessorOptions


def config_model(name: str, options: ProcessorOptions) -> type[dg.Config]:
    """A Dagster config class with the fields of these options; defaults are the definition's values."""
    values = options.model_dump(mode="json")  # a default that is a model itself is given as Dagster keeps it
    fields: dict[str, Any] = {}
    for field, info in type(options).model_fields.items():
        fields[field] = (_annotation(info), Field(default=values[field], description=_description(info)))
    return create_model(name, __base__=dg.Config, **fields)


def _description(info: FieldInfo) -> str:
    more = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    parts = (
        f"{info.title}." if info.title else "",
        info.description or "",
        f"In {more['unit']}." if more.get("unit") else "",
        "Only the name of a variable (env:NAME): what is typed here is stored with the run."
        if more.get("secret")
        else "",
    )
    return " ".join(part for part in parts if part)


def _annotation(info: FieldInfo) -> Any:
    return info.annotation if _dagster_can_show(info.annotation) else Any


def _dagster_can_show(annotation: Any) -> bool:
    """Dagster's config knows fewer types than pydantic (no tuple, no set): what it cannot show stays an open value,
    and is checked by the options model when the op runs."""
    try:
        create_model("Probe", __base__=dg.Config, value=(annotation, ...)).to_config_schema()
    except (dg.DagsterError, CheckError):  # the latter for the keys of a dict
        return False
    return True


def options_with(options: ProcessorOptions, config: dg.Config) -> ProcessorOptions:
    """The options of one run: the definition's, as overridden in the Launchpad. Checked by the options model."""
    return type(options).model_validate(config.model_dump())

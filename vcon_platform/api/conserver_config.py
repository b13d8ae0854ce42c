"""Our pipelines in the shape of a conserver's ``config.yml``, for clients that read it.

Belongs here: that shape. Not here: the way back (``pipelines/conserver_import.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcon_platform.pipelines.catalogue import Catalogue
from vcon_platform.pipelines.definition import Definition, Step

HIDDEN = "********"


def config_of(catalogue: Catalogue) -> dict[str, Any]:
    """``chains`` and ``links``. Options that name a secret are hidden, though they hold references only."""
    links = {
        f"{definition.name}.{step.name}": _link(step)
        for definition in catalogue.pipelines.values()
        for step in definition.steps
    }
    return {"links": links, "chains": {name: _chain(each) for name, each in catalogue.pipelines.items()}}


def _chain(definition: Definition) -> dict[str, Any]:
    options = definition.options
    return {
        "links": [f"{definition.name}.{step.name}" for step in definition.steps],
        "ingress_lists": [definition.name, *options.feeds],
        "egress_lists": [options.success_queue] if options.success_queue else [],
        "timeout": options.timeout,
        "enabled": 1,
    }


def _link(step: Step) -> dict[str, Any]:
    secret = {
        name
        for name, field in type(step.options).model_fields.items()
        if isinstance(field.json_schema_extra, Mapping) and field.json_schema_extra.get("secret")
    }
    options = step.options.model_dump(mode="json", exclude_defaults=True)
    return {
        "module": f"vcon_platform.processors.{step.processor.name}",
        "options": {name: HIDDEN if name in secret else value for name, value in options.items()},
    }

"""What a processor says about itself, as plain values: for the CLI, the API and the docs alike.

Belongs here: reading the declaration of a class. Nothing here is written twice: a processor's members and the fields
of its options model are the only source.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vcon_platform.processors.base import Processor


def describe(cls: type[Processor[Any]]) -> dict[str, Any]:
    """Name, version, title, description, effects, and the options in their order: those of its own first."""
    schema = cls.options.model_json_schema()
    required = set(schema.get("required", ()))
    own = set(cls.options.__annotations__)
    options = [
        {
            "name": name,
            "title": field.get("title", name),
            "type": _type(field, schema),
            "required": name in required,
            "default": field.get("default"),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]
    options.sort(key=lambda option: option["name"] not in own)
    return {
        "name": cls.name,
        "version": cls.version,
        "title": cls.title,
        "description": cls.description,
        "effects": asdict(cls.effects),
        "options": options,
    }


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """A JSON schema's type in a few words: ``integer``, ``list of string``, ``'local' or 'deepgram'``."""
    if "$ref" in field:
        return _type(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "const" in field:
        return repr(field["const"])
    if "enum" in field:
        return " or ".join(repr(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(choice, schema) for choice in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), schema)}"
    return str(field.get("type", "any"))

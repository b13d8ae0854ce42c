"""What a processor says about itself, as plain values: for the CLI, the API and the docs alike.

Belongs here: reading the declaration of a class. Nothing here is written twice: a processor's members and the fields
of its options model are the only source.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from vcon_platform.processors.base import Effects, Processor, ProcessorOptions

_BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))


def describe(cls: type[Processor[Any]]) -> dict[str, Any]:
    """Name, version, title, description, effects (also in words), consent purpose, pool, and the options: those of its
    own first, of which those that must be given before all others, then those that every processor has (``common``).
    """
    schema = cls.options.model_json_schema()
    fields = schema.get("properties", {})
    secret = secret_options(cls.options)
    options = [_option(name, cls.options.model_fields[name], fields[name], schema, name in secret) for name in fields]
    options.sort(key=lambda option: (option["common"], not option["required"]))
    return {
        "name": cls.name,
        "version": cls.version,
        "title": cls.title,
        "description": cls.description,
        "effects": asdict(cls.effects),
        "effects_in_words": in_words(cls.effects),
        "purpose": cls.effects.purpose,
        "pool": cls.pool or "",
        "options": options,
    }


def in_words(effects: Effects) -> list[str]:
    """The effects that a processor declares, a few words each."""
    told = [
        (effects.costs, "costs"),
        (effects.network, "network"),
        (effects.may_drop, "may drop"),
        (effects.changes, "changes"),
        (effects.sends, "sends"),
        (effects.purpose, f"needs consent to {effects.purpose}"),
    ]
    return [words for on, words in told if on]


def secret_options(model: type[BaseModel]) -> list[str]:
    """The options that a processor marks as secret (``json_schema_extra={"secret": True}``): they take references."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return [name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("secret") is True]


def _option(
    name: str, field: FieldInfo, property_: dict[str, Any], schema: dict[str, Any], secret: bool
) -> dict[str, Any]:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "title": property_.get("title", name),
        "type": _type(property_, schema),
        "required": field.is_required(),
        "default": to_jsonable_python(default),
        "secret": secret,
        "common": _is_common(name, field),
        "description": property_.get("description", ""),
    }


def _is_common(name: str, field: FieldInfo) -> bool:
    """True for what every processor has, unless this one gives it a meaning or default of its own."""
    base = ProcessorOptions.model_fields.get(name)
    return base is not None and (field.description, field.default) == (base.description, base.default)


def _type(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """A JSON schema's type in a few words: ``integer from 1 to 50``, ``list of string``, ``'local' or 'deepgram'``,
    ``object {section, type}``."""
    if "$ref" in field:
        return _type(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "const" in field:
        return repr(field["const"])
    if "enum" in field:
        return " or ".join(repr(value) for value in field["enum"])
    if choices := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(choice, schema) for choice in choices))
    match field.get("type"):
        case "array":
            return f"list of {_type(field.get('items', {}), schema)}"
        case "object":
            return _object(field, schema)
        case kind:
            bounds = [f"{word} {_number(field[key])}" for key, word in _BOUNDS if key in field]
            return " ".join([str(kind or "any"), *bounds])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _object(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if members := field.get("properties"):
        return f"object {{{', '.join(members)}}}"
    values = field.get("additionalProperties")
    if isinstance(values, dict) and (kind := _type(values, schema)) != "any":
        return f"object of {kind}"
    return "object"

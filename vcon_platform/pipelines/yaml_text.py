"""A definition as YAML, for people: what ``show`` prints, what differences are made of.

Belongs here: writing. Reading is :mod:`vcon_platform.pipelines.texts`, whose rules these texts keep: what is written
here reads back as the same value there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml.nodes import ScalarNode

_FIRST = ("processor_name", "label", "comment", "notes", "pipeline_options", "processor_options", "processors")
#: What looks like a number to YAML 1.2 but not to PyYAML's own rules, and so needs quotes.
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")

#: Line ends of YAML that are none to us: a plain or folded text would be broken at them.
_BREAKS = re.compile("[\x85\u2028\u2029]")


def as_yaml(definition: Mapping[str, Any]) -> str:
    """The definition with its members in the order they were given."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as its base has it
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> ScalarNode:
        style = "|" if "\n" in value and _fits_a_block(value) else None
        if style is None and _NUMBER.fullmatch(value):
            style = "'"
        if _BREAKS.search(value):  # only an escape reads back as what it was
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(dict(definition), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100))


def _fits_a_block(value: str) -> bool:
    """Whether a literal block holds this text exactly: no blanks before line ends, no control characters."""
    return value.isprintable() or all(
        part.isprintable() and not part.endswith(" ") and "\ufeff" not in part for part in value.split("\n")
    )


def difference(before: Mapping[str, Any], after: Mapping[str, Any], labels: tuple[str, str]) -> str:
    """The unified diff of two definitions, with members in one order, so that only what differs shows. Empty: equal."""
    lines = [as_yaml(_sorted(each)).splitlines(keepends=True) for each in (before, after)]
    return "".join(difflib.unified_diff(lines[0], lines[1], *labels))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=_rank)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _rank(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)

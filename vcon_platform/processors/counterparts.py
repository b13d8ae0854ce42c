"""What a conserver link is here: which processor, with which options, and what is different.

Belongs here: the shape of such an entry. Not here: the entries (``counterparts_*.py``, one file per family), the import
of a configuration (``pipelines/conserver_import.py``), the table in the docs, both of which read the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Options:
    """A link's options as a processor's. ``notes``: what behaves otherwise with these options, a sentence each.
    ``refused``: options (by name) that have no counterpart, and why; an import that meets one says so and goes on."""

    options: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One link. ``link``: the last part of its module's name (``deepgram_link``); ``processor``: the name of ours;
    ``differences``: for the docs, a sentence each, none where there is none. ``translate`` is given the link's options
    after literal secrets have become ``env:`` references, whatever names they have there."""

    link: str
    processor: str
    translate: Callable[[Mapping[str, Any]], Options]
    differences: tuple[str, ...] = ()

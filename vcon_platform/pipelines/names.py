"""What a pipeline may be called. Its name is its queue's name, its Dagster job's name and part of its ops' names.

Dagster takes letters, digits and '_' only, wants every name of a code location to differ, and keeps some words for
itself. ``__`` stands between the parts of the names that we make (``{pipeline}__steps``, ``{pipeline}__{step}``,
``{pipeline}__stream``), so a name that held it could be another pipeline's part. Queues that are no pipeline's own
(feeds, success and failure queues) may also hold '.' and '-'.
"""

from __future__ import annotations

import keyword
import re

from vcon_platform.store import keys

LONGEST = 80
"""Letters. What is made of it stays within the 100 that a queue's name may have."""

DAGSTER_WORDS = {word.lower() for word in keyword.kwlist} | {
    *("arg_dict", "bool", "conf", "config", "context", "dict", "float", "input", "input_arg_dict", "int", "meta"),
    *("output", "output_arg_dict", "str", "type"),
}
"""Names that Dagster refuses for ops and jobs."""

OUR_JOBS = frozenset(
    {"land_projections", "deliver_effects", "housekeeping", "prune", "retention", "reprocess", "broken", "sources"}
)
OUR_PREFIXES = ("reprocess_", "land_", "prune_", "deliver_")
"""Names and beginnings of names of the Dagster jobs that are no pipeline's."""

_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")


def name_fault(name: str) -> str | None:
    """Why a pipeline cannot be called this, with the name to take instead; None if it can."""
    if not _LEGAL.fullmatch(name):
        return (
            "a pipeline's name has letters, digits and '_' only and begins with a letter or digit (it names Dagster's "
            f"job); call it {suggested(name)!r}"
        )
    if len(name) > LONGEST:
        return f"a pipeline's name has at most {LONGEST} letters; call it {suggested(name)!r}"
    if "__" in name or name.endswith("_"):
        return (
            "a pipeline's name has no '__' and no '_' at its end (Dagster's names of its parts are made with it); call "
            f"it {suggested(name)!r}"
        )
    if name.lower() in DAGSTER_WORDS:
        return f"Dagster keeps this word for itself; call it {suggested(name)!r}"
    if name in OUR_JOBS or name.startswith(OUR_PREFIXES):
        return f"Dagster jobs of the platform's own have such names; call it {suggested(name)!r}"
    return None


def suggested(name: str) -> str:
    """A legal name near to this one. Two names may lead to one."""
    near = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)).strip("_")[:LONGEST].rstrip("_")
    if not near:
        return "pipeline_1"
    if near.lower() in DAGSTER_WORDS or near in OUR_JOBS or near.startswith(OUR_PREFIXES):
        return f"p_{near}"[:LONGEST]
    return near


def queue_fault(name: str) -> str | None:
    """Why a queue cannot be called this; None if it can."""
    try:
        keys.queue(name)
    except keys.NameRefused:
        return "a queue's name has letters, digits, '_', '.' and '-' (at most 100), and begins with a letter or digit"
    return None

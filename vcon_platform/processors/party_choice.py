"""An option that names parties of a conversation: by index, or by what the document calls them.

Belongs here: which parties are meant. Not here: whose turn it was (``vcon/turns.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field, StrictInt, StringConstraints

from vcon_platform.vcon.document import Vcon

PartyChoice = tuple[
    Annotated[StrictInt, Field(ge=0)]
    | Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)],
    ...,
]
"""The option's type: indexes, and roles or names in any case."""


def parties_of(vcon: Vcon, chosen: Collection[int | str]) -> set[int]:
    """The indexes of the parties that are meant. Those that a conversation does not have are no fault."""
    names = {each.casefold() for each in chosen if isinstance(each, str)}
    return {
        index for index, party in enumerate(vcon.parties) if index in chosen or not names.isdisjoint(_called(party))
    }


def _called(party: object) -> set[str]:
    if not isinstance(party, dict):
        return set()
    meta = party.get("meta")
    called = (party.get("name"), party.get("role"), meta.get("role") if isinstance(meta, dict) else None)
    return {text.strip().casefold() for text in called if isinstance(text, str)}

"""How a definition is refused: every fault at once, each with its place, what is wrong there, and the cure.

Belongs here: the shape of a fault and the words that several checks share. Not here: any rule (``definition.py``,
``names.py``, ``wiring.py``). No message carries the value it complains of: it may be a key somebody pasted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vcon_platform.errors import PlatformError

MOST_FAULTS = 50


@dataclass(frozen=True, slots=True)
class DefinitionFault:
    """``pointer``: JSON pointer (RFC 6901) into the definition; empty is the whole of it."""

    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}"


class DefinitionError(PlatformError):
    """A definition that cannot run. ``faults`` lists each; the text does too, as ``pointer: what is wrong``."""

    def __init__(self, *faults: DefinitionFault | str) -> None:
        self.faults = tuple(fault for fault in faults if isinstance(fault, DefinitionFault))
        shown = [str(fault) for fault in faults[:MOST_FAULTS]]
        if len(faults) > MOST_FAULTS:
            shown.append(f"and {len(faults) - MOST_FAULTS} more")
        super().__init__("; ".join(shown))


def pointer(*parts: str | int) -> str:
    """The JSON pointer of these members."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` if one of the choices is near."""
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown(word: str, choices: Iterable[str], what: str = "option") -> str:
    """That there is no such member, which one may have been meant, and which there are."""
    listed = list(choices)
    return f"no such {what}{did_you_mean(word, listed)}; there are {', '.join(listed)}"


def _words(detail: ErrorDetails) -> str:
    """Pydantic's sentence without its name of the error; of what is empty in the words of whoever reads the option."""
    if detail["type"] in ("too_short", "string_too_short") and detail["msg"].split("at least ")[-1].startswith("1 "):
        return "must not be empty"
    return detail["msg"].removeprefix("Value error, ")


def model_faults(error: ValidationError, model: type[BaseModel], *where: str | int) -> list[DefinitionFault]:
    """What pydantic found wrong with the member at ``where``, in our words."""
    found = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        place = pointer(*where, *detail["loc"])
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            message = unknown(str(detail["loc"][-1]), model.model_fields)
        elif detail["type"] == "missing":
            message = "is required"
        else:
            message = _words(detail)
        found.append(DefinitionFault(place, message))
    return found

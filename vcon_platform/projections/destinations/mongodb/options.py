"""What the destination ``mongodb`` must be told."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destinations.option_fields import seconds_to_answer, secret
from vcon_platform.references import reference

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,119}")


def _name(value: str) -> str:
    if value and (not _NAME.fullmatch(value) or value.startswith("system.") or value.endswith(".")):
        raise ValueError("must be a name of letters, digits, '_', '-', '.', beginning with a letter")
    return value


def _database(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("must be a name of letters, digits, '_', '-', beginning with a letter")
    return value


class MongoOptions(BaseModel):
    """What ``mongodb`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(reference("MONGODB_"))] = secret(
        "Address",
        "env:MONGODB_URL, or another variable of that kind: mongodb://… or mongodb+srv://…, with user, "
        "password and options.",
        "env:MONGODB_URL",
    )
    database: Annotated[str, AfterValidator(_database)] = Field(
        default="vcon", title="Database", description="The database."
    )
    collection: Annotated[str, AfterValidator(_name)] = Field(
        default="", title="Collection", description="The collection; by default the projection's name."
    )
    answer_within: float = seconds_to_answer("Seconds that one call may take.")

"""What the destination ``airtable`` must be told."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destinations.calling import address_option
from vcon_platform.projections.destinations.option_fields import secret
from vcon_platform.references import reference

URL = "https://api.airtable.com"
_AIRTABLE = reference("AIRTABLE_")


def _base(value: str) -> str:
    if not re.fullmatch(r"app[A-Za-z0-9]{5,30}", value):
        raise ValueError("must be a base's id: app and letters and digits, as the address of the base shows it")
    return value


def _table_name(value: str) -> str:
    if len(value) > 255 or re.search(r"[\x00-\x1f/]", value):
        raise ValueError("must be a table's name or id, without a slash")
    return value


class AirtableOptions(BaseModel):
    """What ``airtable`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Annotated[str, AfterValidator(_base)] = Field(
        title="Base", description="The base's id (app…), as its address shows it."
    )
    table: Annotated[str, AfterValidator(_table_name)] = Field(
        default="", title="Table", description="The table's name; by default the projection's."
    )
    token: Annotated[str, AfterValidator(_AIRTABLE)] = secret(
        "Token",
        "env:AIRTABLE_TOKEN, or another variable of that kind: a personal access token with the scopes "
        "data.records:read, data.records:write, schema.bases:read and, for a table that is not there yet, "
        "schema.bases:write.",
        "env:AIRTABLE_TOKEN",
    )
    url: Annotated[str, AfterValidator(address_option("AIRTABLE_"))] = Field(
        default=URL, title="Address", description="Where the API is, for what speaks like Airtable elsewhere."
    )

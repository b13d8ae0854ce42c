"""What the destination ``salesforce`` must be told."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vcon_platform.projections.destinations.calling import address_option
from vcon_platform.projections.destinations.option_fields import secret
from vcon_platform.references import reference

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_SALESFORCE = reference("SALESFORCE_")


def _api_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be an API name: letters, digits and '_', such as Call__c")
    return value


ApiName = Annotated[str, AfterValidator(_api_name)]


class SalesforceOptions(BaseModel):
    """What ``salesforce`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(address_option("SALESFORCE_"))] = Field(
        default="env:SALESFORCE_URL",
        title="Address",
        description="env:SALESFORCE_URL, or another variable of that kind, that holds My Domain: "
        "https://NAME.my.salesforce.com.",
    )
    object: ApiName = Field(title="Object", description="The object's API name, such as Call__c.")
    fields: dict[str, ApiName] = Field(
        default_factory=dict,
        title="Fields",
        description="Column to the API name of its field, where that is not the column's name and __c.",
    )
    row_field: ApiName = Field(
        default="vCon_Row__c",
        title="Row field",
        description="The field that finds a record again: text of 110 or more, external id, unique.",
    )
    day_field: ApiName = Field(default="vCon_Day__c", title="Day field", description="A date: the conversation's day.")
    hash_field: ApiName = Field(
        default="vCon_Hash__c", title="Hash field", description="Text of 40 or more: says what stands in the record."
    )
    client_id: Annotated[str, AfterValidator(_SALESFORCE)] = secret(
        "Client id", "The consumer key of the (external client) app: env:SALESFORCE_…", "env:SALESFORCE_CLIENT_ID"
    )
    client_secret: Annotated[str, AfterValidator(_SALESFORCE)] = secret(
        "Client secret", "Its consumer secret: env:SALESFORCE_…", "env:SALESFORCE_CLIENT_SECRET"
    )
    refresh_token: Annotated[str, AfterValidator(_SALESFORCE)] = secret(
        "Refresh token", "env:SALESFORCE_…, to sign in by it; empty: by client credentials."
    )
    version: str = Field(
        default="62.0", pattern=r"^\d{2,3}\.0$", title="Version", description="Of the API, 46.0 or later."
    )

    @model_validator(mode="after")
    def _no_field_twice(self) -> Self:
        own = [name.lower() for name in (self.row_field, self.day_field, self.hash_field, *self.fields.values())]
        if len(set(own)) != len(own):
            raise ValueError("/fields: a field is named twice")
        return self

    def field_of(self, column: str) -> str:
        """The API name of a column's field."""
        return self.fields.get(column, f"{column}__c")

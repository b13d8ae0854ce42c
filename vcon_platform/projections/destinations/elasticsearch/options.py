"""What the destinations ``elasticsearch`` and ``opensearch`` must be told: the same, by variables of their own."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destinations.calling import address_option
from vcon_platform.projections.destinations.option_fields import seconds_to_answer, secret
from vcon_platform.references import reference

_INDEX = re.compile(r"[a-z0-9][a-z0-9_.-]{0,254}")


def _index_name(value: str) -> str:
    if value and not _INDEX.fullmatch(value):
        raise ValueError("must be a name of an index: a-z, 0-9, '_', '-', '.', beginning with a letter or digit")
    return value


class ElasticOptions(BaseModel):
    """What both kinds must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(title="Address", description="https://host:9200, or a variable that holds it.")
    user: str = secret("User", "The user's name, in a variable.")
    password: str = secret("Password", "The user's password, in a variable.")
    api_key: str = secret("API key", "An API key as the server encodes it, in a variable. In place of a user.")
    index: Annotated[str, AfterValidator(_index_name)] = Field(
        default="", title="Index", description="The index; by default the projection's name."
    )
    shards: int | None = Field(
        default=None, ge=1, le=1024, title="Shards", description="Of a new index. By default the server's."
    )
    replicas: int | None = Field(
        default=None, ge=0, le=10, title="Replicas", description="Of a new index. By default the server's."
    )
    answer_within: float = seconds_to_answer("Seconds that one call may take.")


class ElasticsearchOptions(ElasticOptions):
    """What ``elasticsearch`` must be told."""

    url: Annotated[str, AfterValidator(address_option("ELASTICSEARCH_"))] = Field(
        title="Address", description="https://host:9200, or env:ELASTICSEARCH_…, a variable that holds it."
    )
    user: Annotated[str, AfterValidator(reference("ELASTICSEARCH_"))] = secret("User", "env:ELASTICSEARCH_…")
    password: Annotated[str, AfterValidator(reference("ELASTICSEARCH_"))] = secret("Password", "env:ELASTICSEARCH_…")
    api_key: Annotated[str, AfterValidator(reference("ELASTICSEARCH_"))] = secret(
        "API key", "env:ELASTICSEARCH_…, as the server encodes it. In place of a user."
    )


class OpenSearchOptions(ElasticOptions):
    """What ``opensearch`` must be told."""

    url: Annotated[str, AfterValidator(address_option("OPENSEARCH_"))] = Field(
        title="Address", description="https://host:9200, or env:OPENSEARCH_…, a variable that holds it."
    )
    user: Annotated[str, AfterValidator(reference("OPENSEARCH_"))] = secret("User", "env:OPENSEARCH_…")
    password: Annotated[str, AfterValidator(reference("OPENSEARCH_"))] = secret("Password", "env:OPENSEARCH_…")
    api_key: Annotated[str, AfterValidator(reference("OPENSEARCH_"))] = secret("API key", "env:OPENSEARCH_…")

"""Options of a projection's ``bigquery`` destination: project, dataset, table, credentials.

Belongs here: what may be written there. Not here: what is made of it (``destination.py``, ``schema.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.column import Identifier
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference

_PROJECT = re.compile(r"(?:[a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{2,62}")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,200}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def _project(value: str) -> str:
    if not _PROJECT.fullmatch(value):
        raise ValueError("must be a project's id, such as my-project-1234 (not its name, nor its number)")
    return value


def _dataset(value: str) -> str:
    if not _DATASET.fullmatch(value):
        raise ValueError("must be a dataset's name: letters, digits and _")
    return value


def _labels(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not (_LABEL.fullmatch(name) and _LABEL_VALUE.fullmatch(text)):
            raise ValueError(f"{name[:70]!r} is no label: names and values of a-z, 0-9, _ and -, a letter first")
    return value


class BigQueryOptions(BaseModel):
    """Options of a projection's ``bigquery`` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: Annotated[str, AfterValidator(_project)] = Field(
        title="Project", description="The Google Cloud project that holds the dataset, and is billed for the jobs."
    )
    dataset: Annotated[str, AfterValidator(_dataset)] = Field(
        title="Dataset", description="The dataset's name. It is created when it is missing."
    )
    table: Identifier = Field(title="Table", description="The table's name. It is created when it is missing.")
    location: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,40}$")] = Field(
        default="",
        title="Location",
        description="Where the dataset is or is created: EU, US, europe-west3. Empty: Google's default.",
    )
    cluster: tuple[Identifier, ...] = Field(
        default=(),
        max_length=4,
        title="Cluster",
        description="Columns by which the rows of a day are sorted, for cheaper queries. Empty: the uuid's.",
    )
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict,
        max_length=50,
        title="Labels",
        description="Labels of the table and of every job, by which Google's bill can be told apart.",
    )
    credentials: Annotated[str, AfterValidator(reference("GOOGLE_", "BIGQUERY_"))] = Field(
        default="",
        title="Credentials",
        description=(
            "env:NAME of a variable that holds a service account's key or an authorised user's (OAuth) file, as JSON "
            "or as its path. Empty: Google's application default credentials."
        ),
    )
    endpoint: Annotated[str, AfterValidator(reference("GOOGLE_", "BIGQUERY_"))] = Field(
        default="",
        title="Endpoint",
        description=(
            "env:NAME of a variable with another address than https://bigquery.googleapis.com: a private endpoint, or "
            "an emulator, which is asked without credentials when none are given."
        ),
    )


@dataclass(frozen=True, slots=True)
class TableName:
    """A projection's table by name."""

    project: str
    dataset: str
    table: str

    @classmethod
    def of(cls, projection: Projection) -> TableName:
        options = options_of(projection)
        return cls(options.project, options.dataset, options.table)

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def quoted(self) -> str:
        """As it stands in a statement; what options allow holds no backtick."""
        return f"`{self}`"

    def beside(self, suffix: str) -> TableName:
        """Another table of the same dataset."""
        return TableName(self.project, self.dataset, f"{self.table}{suffix}")


def options_of(projection: Projection) -> BigQueryOptions:
    """The options of the projection's ``bigquery`` destination."""
    return BigQueryOptions.model_validate(dict(projection.options_for("bigquery")))

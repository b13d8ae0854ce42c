"""Options of a projection's ``postgres`` destination: the table, and the server where it is another than the
platform's own.

Belongs here: what may be written there. Not here: what is made of it (``destination.py``, ``schema.py``).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.column import Identifier, identifier
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference


def _schema(name: str) -> str:
    if identifier(name) in ("ledger", "dagster", "information_schema") or name.startswith("pg_"):
        raise ValueError(f"{name!r} is not for projections; choose another schema, such as public")
    return name


Role = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.@$-]{0,62}$")]


class PostgresOptions(BaseModel):
    """Options of a projection's ``postgres`` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    table: Identifier = Field(title="Table", description="The table's name. It is created when it is missing.")
    schema_name: Annotated[str, AfterValidator(_schema)] = Field(
        default="public", alias="schema", title="Schema", description="The schema. It is created when it is missing."
    )
    url: Annotated[str, AfterValidator(reference("POSTGRES_"))] = Field(
        default="",
        title="Server",
        description="Another Postgres than the platform's own: env:NAME of a variable that holds "
        "postgresql://user:password@host:port/database.",
    )
    role: Role | None = Field(
        default=None,
        title="Role",
        description="The role that owns and fills the table (SET ROLE). Unset: the one that connects.",
    )
    grants: tuple[Role, ...] = Field(
        default=(), max_length=50, title="Readers", description="Roles that may read the table. None is taken away."
    )
    indexes: tuple[Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=32)], ...] = Field(
        default=(),
        max_length=50,
        title="Indexes",
        description="Columns of further indexes, each a list. Key and day have theirs.",
    )


def options_of(projection: Projection) -> PostgresOptions:
    """The options of the projection's ``postgres`` destination."""
    return PostgresOptions.model_validate(dict(projection.options_for("postgres")))

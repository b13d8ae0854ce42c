"""What a projection is: a declared table (which vCons, which columns, into which destinations).

Belongs here: the declaration and what makes one valid by itself. Not here: reading files (``catalogue.py``), and
what a destination makes of its options (the destination's own file; this module knows destinations by name only,
so that importing it needs no driver).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from vcon_platform.projections.errors import ProjectionError
from vcon_platform.projections.explain import choose
from vcon_platform.projections.extract import EXTRACTORS
from vcon_platform.projections.values import ColumnType

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "_day", "_row_hash", "_landed_at"})


def identifier(text: str) -> str:
    """The text, if it may name a table, a column or a schema anywhere. Raises ValueError with the rule.

    The list of allowed characters is what keeps a hostile name from ever becoming SQL; quoting is the second line.
    """
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no identifier: a-z, 0-9 and _, not starting with a digit, at most 63")
    return text


def _column_name(text: str) -> str:
    if identifier(text) in _RESERVED_COLUMNS:
        raise ValueError(f"{text!r} is reserved; choose another name, such as {text.strip('_')}_value")
    return text


def _one_of(choices: tuple[str, ...], what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(choose(value, choices, what))
        return value

    return BeforeValidator(check)


Identifier = Annotated[str, AfterValidator(identifier)]
Rows = Literal["processor", "conversation"]


class _Strict(BaseModel):
    """A declaration's part: unknown members are refused, and the message offers the one that was meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _members_are_known(cls, value: Any) -> Any:
        if isinstance(value, dict):
            names = {field.alias or name for name, field in cls.model_fields.items()}
            for name in value:
                if name not in names and name not in cls.model_fields:
                    raise ValueError(choose(name, names, "a member here"))
        return value


class Column(_Strict):
    """One column: its name and type, and what fills it."""

    name: Annotated[str, AfterValidator(_column_name)] = Field(title="Name", description="The column's name.")
    type: Annotated[ColumnType, _one_of(get_args(ColumnType), "a column type")] = Field(
        title="Type", description="The column's SQL type."
    )
    source: Annotated[str, _one_of(tuple(EXTRACTORS), "an extractor")] = Field(
        alias="from", title="From", description="The named extractor that fills the column."
    )
    description: str = Field(default="", title="Description", description="Becomes the column's comment.")
    pii: bool = Field(default=False, title="Personal data", description="True if the column holds personal data.")

    @property
    def reads(self) -> tuple[str, ...]:
        """The vCon members this column comes from."""
        return EXTRACTORS[self.source].reads


class DestinationRef(RootModel[dict[str, dict[str, Any]]]):
    """``{kind: {options}}``: one destination of a projection. The options are the destination's own affair."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _names_one_kind(self) -> DestinationRef:
        if len(self.root) != 1:
            raise ValueError("must be a mapping with one member: the kind of destination and its options")
        return self

    @property
    def kind(self) -> str:
        return next(iter(self.root))

    @property
    def options(self) -> Mapping[str, Any]:
        return self.root[self.kind]


class Projection(_Strict):
    """A table that is declared once. See ``docs/projections.md``."""

    name: Identifier = Field(title="Name", description="Also the name of its assets.")
    description: str = Field(default="", title="Description", description="Becomes the table's comment.")
    owner: str = Field(default="", title="Owner", description="Who answers for this table: team:NAME or a mailbox.")
    pipelines: list[str] = Field(
        min_length=1, title="Pipelines", description="The pipelines whose conversations become rows."
    )
    rows: Annotated[Rows, _one_of(get_args(Rows), "a way to choose rows")] = Field(
        title="Rows",
        description=(
            "processor: a conversation has a row when a pipeline's processor 'projection' wrote one. "
            "conversation: every conversation that a pipeline ended has one, whatever the verdict."
        ),
    )
    key: list[str] = Field(
        default=["uuid"], min_length=1, title="Key", description="The columns of the primary key, with the uuid's."
    )
    columns: list[Column] = Field(min_length=1, max_length=500, title="Columns", description="The table's columns.")
    destinations: list[DestinationRef] = Field(
        min_length=1, title="Destinations", description="Where the rows go, one of each kind at most."
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> Projection:
        names = [column.name for column in self.columns]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ValueError(f"/columns/{place}/name {name!r} is there twice")
        for place, name in enumerate(self.key):
            if name not in names:
                raise ValueError(f"/key/{place} {choose(name, names, 'a column')}")
        if len(set(self.key)) != len(self.key):
            raise ValueError("/key names a column twice")
        uuids = [column for column in self.columns if column.source == "uuid"]
        if len(uuids) != 1 or uuids[0].type != "text":
            raise ValueError("/columns must hold exactly one column of type text from 'uuid'")
        if uuids[0].name not in self.key:
            raise ValueError(f"/key must name {uuids[0].name!r}, the column from 'uuid'")
        kinds = [ref.kind for ref in self.destinations]
        if len(set(kinds)) != len(kinds):
            raise ValueError("/destinations names a kind twice; declare a second projection for a second table")
        return self

    @cached_property
    def version(self) -> str:
        """Changes whenever the values this declaration gives could: the name, and each column's name, type and
        source. What else it says (who owns it, which conversations, where to) changes no row's values."""
        meaning = [self.name, [[column.name, column.type, column.source] for column in self.columns]]
        return hashlib.sha256(orjson.dumps(meaning)).hexdigest()[:12]

    @property
    def uuid_column(self) -> str:
        """The column that holds the conversation's uuid."""
        return next(column.name for column in self.columns if column.source == "uuid")

    def options_for(self, kind: str) -> Mapping[str, Any]:
        """The options of the destination of this kind. Raises :class:`ProjectionError` when there is none."""
        for ref in self.destinations:
            if ref.kind == kind:
                return ref.options
        raise ProjectionError(f"projection {self.name} has no destination {kind!r}")

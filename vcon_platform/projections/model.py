"""What a projection is: a declared table (which vCons, what a row stands for, which columns, into which destinations).

Belongs here: the declaration and what makes one valid by itself. Not here: one column (``column.py``), reading files
(``catalogue.py``), and what a destination makes of its options (the destination's own file; this module knows
destinations by name only, so that importing it needs no driver).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, ValidationError, model_validator

from vcon_platform.projections.column import FAULTS as FAULTS
from vcon_platform.projections.column import Column as Column
from vcon_platform.projections.column import Identifier, Strict, one_of, reads_of
from vcon_platform.projections.column import identifier as identifier
from vcon_platform.projections.errors import ProjectionError
from vcon_platform.projections.explain import choose, problems
from vcon_platform.projections.expressions import fault_of
from vcon_platform.projections.extract import WHOLE
from vcon_platform.projections.grains import EACH, GRAIN_READS, GRAINS, ElementExtractor
from vcon_platform.projections.sources import resolve
from vcon_platform.references import reference

Rows = Literal["processor", "conversation"]

_MEANING = 2
"""Goes up when a named extractor or a mask comes to give other values, so that rows are made anew."""


def _filter(program: str) -> str:
    if program and (fault := fault_of(program, of_element=False)):
        raise ValueError(fault)
    return program


class Source(Strict):
    """Which conversations have rows. All that is said must hold; what is not said, holds."""

    pipelines: list[str] = Field(
        min_length=1, title="Pipelines", description="The pipelines whose conversations become rows."
    )
    adapters: list[str] = Field(
        default=[],
        title="Adapters",
        description="The adapters that captured them: freeswitch, or an adapter's own name.",
    )
    tags: list[str] = Field(default=[], title="Tags", description="Tags of which one is there: a name, or name:value.")
    where: Annotated[str, AfterValidator(_filter)] = Field(
        default="",
        max_length=20_000,
        title="Where",
        description="jq filter over the vCon. It has rows if the first output is neither false nor null.",
    )


def _list_extractor(text: str) -> str:
    if text and isinstance(resolve(text), ElementExtractor):
        raise ValueError(f"{text!r} reads an element; name what gives the list of them")
    return text


class Each(Strict):
    """A grain whose elements are given by a jq filter, or stand in a list that an extractor finds."""

    each: Annotated[str, AfterValidator(_filter)] = Field(
        default="", max_length=20_000, title="Each", description="jq filter over the vCon. Each output is one row."
    )
    source: Annotated[str, AfterValidator(_list_extractor)] = Field(
        default="",
        alias="from",
        title="From",
        description="In its place: an extractor that gives a list, such as analysis(scorecard).body.criteria.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Each:
        if bool(self.each) == bool(self.source):
            raise ValueError("needs 'each', a jq filter, or 'from', an extractor that gives a list")
        return self


def _grain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Each.model_validate(value)
    if isinstance(value, Each) or (isinstance(value, str) and value in GRAINS):
        return value
    raise ValueError(choose(value, (*GRAINS, "{each: JQ}", "{from: EXTRACTOR}"), "a grain"))


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


class Projection(Strict):
    """A table that is declared once. See ``docs/projections.md``."""

    name: Identifier = Field(title="Name", description="Also the name of its assets.")
    description: str = Field(default="", title="Description", description="Becomes the table's comment.")
    owner: str = Field(default="", title="Owner", description="Who answers for this table: team:NAME or a mailbox.")
    source: Source = Field(
        title="Source",
        description="Which conversations have rows. 'pipelines: [...]' beside it is short for its member of that name.",
    )
    rows: Annotated[Rows, one_of(get_args(Rows), "a way to choose rows")] = Field(
        title="Rows",
        description=(
            "processor: a conversation has a row when a pipeline's processor 'projection' wrote one. "
            "conversation: every conversation that a pipeline ended has one, whatever the verdict."
        ),
    )
    grain: Annotated[Each | str, BeforeValidator(_grain)] = Field(
        default="vcon",
        title="Grain",
        description="What a row stands for: vcon, party, dialog, turn, analysis, tag, {each: a jq filter}, or "
        "{from: an extractor that gives a list}.",
    )
    key: list[str] = Field(
        min_length=1,
        title="Key",
        description="The columns of the primary key, with the uuid's. Left out: the uuid, and beneath the grain vcon "
        "the position.",
    )
    columns: list[Column] = Field(min_length=1, max_length=500, title="Columns", description="The table's columns.")
    destinations: list[DestinationRef] = Field(
        min_length=1, title="Destinations", description="Where the rows go, one of each kind at most."
    )
    pii_key: Annotated[str, AfterValidator(reference("VCON_PII_"))] = Field(
        default="",
        title="Key for hashes",
        description="env:NAME of the key for columns with 'mask: hash'. Empty: the installation's own.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = {name: member for name, member in value.items() if name != "pipelines"}
        if "pipelines" in value:
            source = given.get("source", {})
            if not isinstance(source, dict) or "pipelines" in source:
                raise ValueError("/pipelines stands in /source too: leave it there only")
            try:
                named = Source.model_validate({"pipelines": value["pipelines"]})
            except ValidationError as error:  # told where it was written
                raise ValueError(problems(error, Source)[0]) from None
            given["source"] = {**source, "pipelines": named.pipelines}
        if "key" not in given and isinstance(columns := given.get("columns"), list):
            from_column = {each.get("from"): each.get("name") for each in columns if isinstance(each, dict)}
            wanted = ["uuid"] if given.get("grain", "vcon") == "vcon" else ["uuid", "position"]
            given["key"] = [from_column.get(source, source) for source in wanted]
        return given

    @model_validator(mode="after")
    def _hangs_together(self) -> Projection:
        self._check_columns()
        names = [column.name for column in self.columns]
        for place, name in enumerate(self.key):
            if name not in names:
                raise ValueError(f"/key/{place} {choose(name, names, 'a column')}")
            column = self.columns[names.index(name)]
            if not column.may_be_key:
                raise ValueError(f"/key/{place} {name!r} is of type {column.type} or masked away, and cannot be a key")
        if len(set(self.key)) != len(self.key):
            raise ValueError("/key names a column twice")
        if self.uuid_column not in self.key:
            raise ValueError(f"/key must name {self.uuid_column!r}, the column from 'uuid'")
        if self.grain != "vcon" and len(self.key) == 1:
            raise ValueError("/key must name more than the uuid: a conversation has many rows here")
        kinds = [ref.kind for ref in self.destinations]
        if len(set(kinds)) != len(kinds):
            raise ValueError("/destinations names a kind twice; declare a second projection for a second table")
        return self

    def _check_columns(self) -> None:
        names = [column.name for column in self.columns]
        for place, column in enumerate(self.columns):
            if column.name in names[:place]:
                raise ValueError(f"/columns/{place}/name {column.name!r} is there twice")
            grain = column.grain
            if grain and grain != self.grain_name:
                raise ValueError(
                    f"/columns/{place}/from {column.source!r} is of the grain {grain!r}; here it is "
                    f"{self.grain_name!r}: say 'grain: {grain}', or take another extractor"
                )
        uuids = [column for column in self.columns if column.source == "uuid"]
        if len(uuids) != 1 or uuids[0].type != "text":
            raise ValueError("/columns must hold exactly one column of type text from 'uuid'")

    @property
    def pipelines(self) -> list[str]:
        """The pipelines whose conversations become rows."""
        return self.source.pipelines

    @property
    def grain_name(self) -> str:
        """``vcon``, ``party`` ... or ``each``."""
        return self.grain if isinstance(self.grain, str) else EACH

    @property
    def each(self) -> str:
        """The jq filter that gives the elements; "" where something else does."""
        return "" if isinstance(self.grain, str) else self.grain.each

    @property
    def listed(self) -> str:
        """The extractor that gives the list of elements; "" where something else does."""
        return "" if isinstance(self.grain, str) else self.grain.source

    @property
    def whole_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold the whole document: rows carry its digest, and landing puts it in
        (:func:`~.rows.with_document`)."""
        return tuple(column.name for column in self.columns if column.source == WHOLE)

    def reads(self, column: Column) -> tuple[str, ...]:
        """The vCon members that a column comes from."""
        found = column.reads
        if "element" in found:  # of a jq filter, or of the element as it is
            of_grain: tuple[str, ...] = (GRAIN_READS.get(self.grain_name, "vcon"),)
            if self.grain_name == EACH:
                of_grain = reads_of(self.each) if self.each else resolve(self.listed).reads
            found = tuple(
                dict.fromkeys(part for each in found for part in (of_grain if each == "element" else (each,)))
            )
        return found

    @cached_property
    def version(self) -> str:
        """Changes whenever the rows this declaration gives could: the name, which of a pipeline's conversations have
        rows and what a row stands for, the key, and each column's name, type, source, mask and whether it must be
        there. What else it says (who owns it, whose conversations, where to) changes no row's values."""
        columns = [
            [column.name, column.type, column.source, column.jq, column.mask, column.required]
            for column in self.columns
        ]
        which = [self.source.adapters, self.source.tags, self.source.where, self.grain_name, self.each, self.listed]
        meaning = [_MEANING, self.name, columns, which, self.key, self.pii_key]
        return hashlib.sha256(orjson.dumps(meaning)).hexdigest()[:12]

    @property
    def uuid_column(self) -> str:
        """The column that holds the conversation's uuid."""
        return next(column.name for column in self.columns if column.source == "uuid")

    @property
    def never_empty(self) -> list[str]:
        """The columns in which something must stand: the key's, and those that are ``required``."""
        return [column.name for column in self.columns if column.required or column.name in self.key]

    def options_for(self, kind: str) -> Mapping[str, Any]:
        """The options of the destination of this kind. Raises :class:`ProjectionError` when there is none."""
        for ref in self.destinations:
            if ref.kind == kind:
                return ref.options
        raise ProjectionError(f"projection {self.name} has no destination {kind!r}")

"""One column of a projection: its name and type, what fills it, and what of it may be shown.

Belongs here: what makes a column valid by itself, and what may name something in a database. Not here: how columns hang
together (``model.py``).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vcon_platform.projections.explain import choose
from vcon_platform.projections.expressions import fault_of
from vcon_platform.projections.extract import WHOLE
from vcon_platform.projections.grains import ElementExtractor
from vcon_platform.projections.masking import Mask
from vcon_platform.projections.sources import resolve
from vcon_platform.projections.values import ColumnType

FAULTS = "_faults"
"""Member of a row that names the columns whose values could not be had; "" for the row as a whole."""

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_RESERVED_COLUMNS = frozenset(
    {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "_day", "_row_hash", "_landed_at", FAULTS}
)
_KEY_TYPES = frozenset({"text", "integer", "bigint", "numeric", "boolean", "timestamptz", "date"})
_MEMBER = re.compile(
    r"\.\s*(?:\[\s*)?\"?(parties|dialog|analysis|attachments|subject|created_at|updated_at|uuid|meta)\b"
)


def identifier(text: str) -> str:
    """The text, if it may name a table, a column or a schema anywhere. Raises ValueError with the rule.

    The list of allowed characters is what keeps a hostile name from ever becoming SQL; quoting is the second line.
    """
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no identifier: a-z, 0-9 and _, not starting with a digit, at most 63")
    return text


Identifier = Annotated[str, AfterValidator(identifier)]


def _column_name(text: str) -> str:
    if identifier(text) in _RESERVED_COLUMNS:
        raise ValueError(f"{text!r} is reserved; choose another name, such as {text.strip('_')}_value")
    return text


def one_of(choices: tuple[str, ...], what: str) -> BeforeValidator:
    """Refuses what is none of these, offering the one that was probably meant."""

    def check(value: Any) -> Any:
        if value is not None and value not in choices:
            raise ValueError(choose(value, choices, what))
        return value

    return BeforeValidator(check)


class Strict(BaseModel):
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


def _extractor(text: str) -> str:
    if text:
        resolve(text)
    return text


def _expression(program: str) -> str:
    if program and (fault := fault_of(program, of_element=True)):
        raise ValueError(fault)
    return program


class Column(Strict):
    """One column."""

    name: Annotated[str, AfterValidator(_column_name)] = Field(title="Name", description="The column's name.")
    type: Annotated[ColumnType, one_of(get_args(ColumnType), "a column type")] = Field(
        title="Type", description="The column's SQL type."
    )
    source: Annotated[str, AfterValidator(_extractor)] = Field(
        default="", alias="from", title="From", description="The named extractor that fills the column."
    )
    jq: Annotated[str, AfterValidator(_expression)] = Field(
        default="",
        max_length=20_000,
        title="jq",
        description="In its place: a jq filter over the vCon, of which the first output is taken. It may use $element, "
        "$position and $outcome.",
    )
    description: str = Field(default="", title="Description", description="Becomes the column's comment.")
    required: bool = Field(
        default=False, title="Required", description="True: a row in which it is empty is reported and not landed."
    )
    pii: bool = Field(default=False, title="Personal data", description="True if the column holds personal data.")
    mask: Annotated[Mask | None, one_of(get_args(Mask), "a mask")] = Field(
        default=None,
        title="Mask",
        description="What is shown of personal data. hash: the same digits for the same value; partial: the last three "
        "digits, the initials; drop: nothing.",
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> Column:
        if bool(self.source) == bool(self.jq):
            raise ValueError("has both 'from' and 'jq': choose one" if self.jq else "needs 'from' or 'jq'")
        if self.mask is None:
            return self
        if not self.pii:
            raise ValueError(f"has 'mask: {self.mask}': say 'pii: true' too, for masks are for personal data")
        if self.source in ("uuid", WHOLE):
            raise ValueError(f"cannot be masked: it is from {self.source!r}")
        if self.mask != "drop" and self.type != "text":
            raise ValueError(f"has 'mask: {self.mask}', which gives text: its type must be text")
        if self.mask == "drop" and self.required:
            raise ValueError("is required and has 'mask: drop', which leaves it empty")
        return self

    @property
    def filled_by(self) -> str:
        """What fills it, for people: the extractor, or the filter."""
        return self.source or f"jq: {self.jq}"

    @property
    def grain(self) -> str:
        """The grain whose elements it reads; "" for any."""
        extractor = resolve(self.source) if self.source else None
        return extractor.grain if isinstance(extractor, ElementExtractor) else ""

    @property
    def may_be_key(self) -> bool:
        """Whether rows can be told apart by it everywhere."""
        return self.type in _KEY_TYPES and self.mask != "drop"

    @property
    def reads(self) -> tuple[str, ...]:
        """The vCon members it comes from; "element" stands for those of the grain (``Projection.reads``)."""
        if self.jq:
            return reads_of(self.jq)
        return resolve(self.source).reads


def reads_of(program: str) -> tuple[str, ...]:
    """The members of a vCon that a jq filter names; the whole where it names none."""
    found = dict.fromkeys(_MEMBER.findall(program))
    if "$element" in program:
        found["element"] = None
    return tuple(found) or ("vcon",)

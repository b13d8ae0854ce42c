"""The processor ``tag``: pins tags on a conversation, or takes them off; the conserver's link of that name.

Belongs here: its options. Not here: how tags stand in a document (``vcon/tags.py``), tags that a language model chooses
(``check_and_tag.py``, ``analyze_and_label.py``).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.vcon.document import Sealed, Vcon
from vcon_platform.vcon.tags import TagError, add_tag, set_tag, tags

MOST = 1000


def _pairs(value: Any) -> Any:
    """``[name:value, ...]``, a bare word (which is its own value), or an object, as a list of ``name:value``."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict):
        value = [
            f"{name}:{each}"
            for name, given in value.items()
            for each in (given if isinstance(given, list | tuple) else [given])
        ]
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of 'name:value', or an object of names and values")  # noqa: TRY004 - pydantic
    return tuple(_pair(each) for each in value)


def _pair(item: Any) -> str:
    text = str(item).strip() if isinstance(item, str | int | float) and not isinstance(item, bool) else ""
    name, colon, tag = (part.strip() for part in text.partition(":"))
    if not name or (colon and not tag) or len(text) > 1000 or not text.isprintable():
        raise ValueError("a tag is 'name:value' or a word, on one line, of up to 1000 characters")
    return f"{name}:{tag if colon else name}"


def _name(name: str) -> str:
    if not name.strip() or ":" in name:
        raise ValueError("a tag's name is a word without a colon")
    return name.strip()


class TagOptions(ProcessorOptions):
    """What ``tag`` can be told."""

    tags: Annotated[tuple[str, ...], BeforeValidator(_pairs)] = Field(
        default=(),
        max_length=MOST,
        title="Tags",
        description="['team:north', 'vip'] or {team: north, topic: [billing, refund]}. A word alone is its own value "
        "(vip:vip). One text stands for a list of it, so that format_options can make it: {tags: 'score:{score}'}.",
    )
    replace: bool = Field(
        default=False,
        title="Replace",
        description="True: other values that these names have are taken off; false: they stay beside the new ones.",
    )
    remove: tuple[Annotated[str, BeforeValidator(lambda name: _name(str(name)))], ...] = Field(
        default=(),
        max_length=MOST,
        title="Remove",
        description="Names of tags that are taken off, whatever their values, before the others are pinned on.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.tags and not self.remove and "tags" not in self.format_options:
            raise ValueError("tags: name at least one, or one to remove")
        return self


class Tag(Processor[TagOptions]):
    """Tags that the definition names."""

    name = "tag"
    version = "1.0.0"
    title = "Tag"
    description = "Pins tags on the conversation, each once, or takes some off."
    effects = Effects(changes=True)
    options = TagOptions

    def process(self, io: ProcessorIO, options: TagOptions) -> ProcessorIO:
        """Raises PermanentError where a tag that is to go cannot be taken off, because it was signed or stands among
        things that are no tags. Then nothing is changed. A tag that is there already is not pinned on twice."""
        if options.replace or options.remove:
            _pin(_trial(io.vcon), options)
        _pin(io.vcon, options)
        return io


def _pin(vcon: Vcon, options: TagOptions) -> None:
    wanted: dict[str, list[str]] = {}
    for tag in options.tags:
        name, _, value = tag.partition(":")
        wanted.setdefault(name, []).append(value)
    try:
        present = {name for name, _ in tags(vcon)}
        for name in options.remove:
            if name in present:
                set_tag(vcon, name)
        for name, values in wanted.items():
            if options.replace:
                set_tag(vcon, name, *values)
            else:
                for value in values:
                    add_tag(vcon, name, value)
    except (TagError, Sealed) as error:
        raise PermanentError(f"a tag cannot be taken off: {error}") from None


def _trial(vcon: Vcon) -> Vcon:
    """Its attachments alone, to find out whether all of it can be done."""
    return Vcon({"uuid": vcon.uuid, "attachments": deepcopy(vcon.data.get("attachments"))}, sealed=vcon.sealed)

"""Options that are set per conversation: ``format_options`` says with which text, ``{name}`` in it is a parameter.

Belongs here: the templates' rules, and the options of one conversation. Not here: when that is asked (``steps.py``).

Only ``{name}`` is known, and ``{{``, ``}}`` for braces. Python's own formatting would follow attributes and indexes of
whatever object a parameter is, and a definition is data that an operator pastes in (py_vcon_server's templates can be
made to read its secrets that way). What comes out is text; the options model makes a bool of "True" and a number of
"5" as it does for any definition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

import orjson
from pydantic import ValidationError

from vcon_platform.processors.base import PermanentError, ProcessorOptions

ITSELF = "format_options"
"""Its own name among the templates has no effect, as in py_vcon_server."""


class TemplateFault(ValueError):
    """A text that is no template."""


class OptionsRefused(PermanentError):
    """The options of one conversation cannot be made. Names the option's place and the parameter."""

    code = "format_options"


def parse(template: str) -> list[tuple[str, str | None]]:
    """The template as (text, parameter after it or None). Raises :class:`TemplateFault`."""
    pieces: list[tuple[str, str | None]] = []
    try:
        for text, name, spec, conversion in Formatter().parse(template):
            if name is not None and (spec or conversion or not name or set(name) & set(".[]{}")):
                raise TemplateFault(
                    "only {name} of a parameter is known here: no attribute, no index, no '!', no ':'; "
                    "write {{ and }} for braces"
                )
            pieces.append((text, name))
    except TemplateFault:
        raise
    except ValueError:
        raise TemplateFault("a brace has no partner; write {{ and }} for braces") from None
    return pieces


def faults(options: ProcessorOptions) -> Iterator[tuple[str, str]]:
    """What is wrong with the templates of a definition's options, as (option, fault)."""
    known = type(options).model_fields
    for name, template in options.format_options.items():
        if name == ITSELF:
            continue
        if name not in known:
            yield name, f"the processor has no such option; there are {', '.join(known)}"
        try:
            parse(template)
        except TemplateFault as fault:
            yield name, str(fault)


class Templates:
    """The templates of one step's options. ``where``: the JSON pointer of the options in their definition."""

    def __init__(self, options: ProcessorOptions, where: str) -> None:
        self._model = type(options)
        self._where = where
        self._fault = next(iter(faults(options)), None)
        self._templates = (
            {name: parse(text) for name, text in options.format_options.items() if name != ITSELF}
            if self._fault is None
            else {}
        )
        self._rest = {name: getattr(options, name) for name in options.model_fields_set if name not in self._templates}

    def options(self, parameters: Mapping[str, Any]) -> ProcessorOptions:
        """The options for a conversation with these parameters. Raises :class:`OptionsRefused`."""
        if self._fault is not None:
            raise OptionsRefused(f"{self._place(self._fault[0])}: {self._fault[1]}")
        values = {name: self._rendered(name, pieces, parameters) for name, pieces in self._templates.items()}
        try:
            return self._model.model_validate({**self._rest, **values}, by_alias=True, by_name=True)
        except ValidationError as error:  # its own text quotes values, which may be personal data
            told = error.errors(include_url=False, include_input=False)[0]
            name = str(told["loc"][0]) if told["loc"] else ITSELF
            used = ", ".join(f"{{{each}}}" for _, each in self._templates.get(name, []) if each is not None)
            raise OptionsRefused(
                f"{self._place(name)}: with the parameters of this conversation ({used or 'none'}) the option "
                f"{name!r} cannot be used: {_plain(told)}"
            ) from None

    def _place(self, option: str) -> str:
        return f"{self._where}/{ITSELF}/{option.replace('~', '~0').replace('/', '~1')}"

    def _rendered(self, option: str, pieces: list[tuple[str, str | None]], parameters: Mapping[str, Any]) -> str:
        parts = []
        for text, name in pieces:
            parts.append(text)
            if name is None:
                continue
            if name not in parameters:
                raise OptionsRefused(
                    f"{self._place(option)}: the option {option!r} needs the parameter {name!r}, and this "
                    "conversation has none of that name; a processor before this one, or whoever queues the job, "
                    "must set it"
                )
            parts.append(_text(parameters[name]))
        return "".join(parts)


def _text(value: Any) -> str:
    """A parameter as text: as Python writes it, but lists and objects as JSON."""
    return orjson.dumps(value).decode() if isinstance(value, dict | list | tuple) else str(value)


def _plain(told: Mapping[str, Any]) -> str:
    """What pydantic says is wrong. Texts of a model's own validators may quote the value."""
    return str(told["msg"]) if told["type"] not in ("value_error", "assertion_error") else "its model refuses the value"

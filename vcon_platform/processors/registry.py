"""Which processors there are: the entry points of the group ``vcon_platform.processors``, read by one function.

Belongs here: finding, checking and naming them. Not here: running them (``pipelines/engine.py``). Built-in
processors come in the same way as a stranger's: a class named in a package's metadata. Nothing registers itself when
it is imported, so what is available never depends on who imported what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Effects, Processor, ProcessorOptions
from vcon_platform.processors.conserver_links import instead_of

GROUP = "vcon_platform.processors"
OWN_PACKAGE = "vcon-platform"

AnyProcessor = Processor[Any]


class UnknownProcessor(PlatformError):
    """No processor of that name can be used."""


@dataclass(frozen=True)
class Registry:
    """The processors of this installation by name, in the order of their names.

    ``broken`` names what was announced but cannot be used, and why; the others work nevertheless.
    """

    classes: Mapping[str, type[AnyProcessor]]
    broken: Mapping[str, str] = field(default_factory=dict)
    _instances: dict[str, AnyProcessor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.classes)

    def __contains__(self, name: object) -> bool:
        return name in self.classes

    def __iter__(self) -> Iterator[type[AnyProcessor]]:
        return iter(self.classes.values())

    def __len__(self) -> int:
        return len(self.classes)

    def get(self, name: str) -> type[AnyProcessor]:
        """The class of this name. Raises :class:`UnknownProcessor`, which names the likeliest one meant."""
        found = self.classes.get(name)
        if found is not None:
            return found
        if name in self.broken:
            raise UnknownProcessor(f"processor {name!r} is installed but cannot be used: {self.broken[name]}")
        if instead := instead_of(name):
            raise UnknownProcessor(f"there is no processor {name!r}: {instead}")
        close = get_close_matches(name, self.classes, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UnknownProcessor(f"there is no processor {name!r}; {hint}installed are: {', '.join(self.classes)}")

    def instance(self, name: str) -> AnyProcessor:
        """The processor itself, the same object at every call. Raises :class:`UnknownProcessor`."""
        cls = self.get(name)
        return self._instances.setdefault(name, cls())


def load_processors(announced: Iterable[EntryPoint] | None = None) -> Registry:
    """Read the installed packages' entry points (or those given) and import what they name.

    A plugin that does not import, or is no processor, is reported in ``broken`` under its name and harms no other.
    Of two with one name ours wins, else the package whose name sorts first.
    """
    found = _with_package(entry_points(group=GROUP) if announced is None else announced)
    classes: dict[str, type[AnyProcessor]] = {}
    broken: dict[str, str] = {}
    owners: dict[str, str] = {}
    for package, entry in sorted(found, key=lambda e: (e[1].name, e[0] != OWN_PACKAGE, e[0], e[1].value)):
        if entry.name in owners:
            if owners[entry.name] != package:
                broken[f"{entry.name} ({package})"] = f"{owners[entry.name]} has a processor of this name"
            continue
        owners[entry.name] = package
        try:
            loaded = entry.load()
        except Exception as error:  # a plugin may raise anything while it is imported
            broken[entry.name] = f"importing {entry.value} failed: {type(error).__name__}: {error}"
            continue
        fault = _fault(entry.name, loaded)
        if fault:
            broken[entry.name] = f"{entry.value}: {fault}"
        else:
            classes[entry.name] = loaded
    return Registry(MappingProxyType(classes), MappingProxyType(broken))


def _with_package(announced: Iterable[EntryPoint]) -> list[tuple[str, EntryPoint]]:
    """Each with the name of its package; a package's metadata is parsed once, not for each of its entries."""
    names: dict[int, str] = {}
    found = []
    for entry in announced:
        if entry.dist is not None and id(entry.dist) not in names:
            names[id(entry.dist)] = entry.dist.name
        found.append((names.get(id(entry.dist), ""), entry))
    return found


def _fault(name: str, loaded: object) -> str | None:
    """Why this is no processor, or None."""
    if not isinstance(loaded, type) or not issubclass(loaded, Processor):
        return "it is not a subclass of vcon_platform.processors.base.Processor"
    for member in ("name", "version", "title", "description"):
        value = getattr(loaded, member, None)
        if not isinstance(value, str) or not value:
            return f"its {member} must be set to a text"
    if loaded.name != name:
        return f"its name is {loaded.name!r}, but its entry point is called {name!r}"
    if not isinstance(loaded.effects, Effects):
        return "its effects must be an Effects"
    if not isinstance(loaded.options, type) or not issubclass(loaded.options, ProcessorOptions):
        return "its options must be a subclass of ProcessorOptions"
    if abstract := getattr(loaded, "__abstractmethods__", None):
        return f"it does not define {', '.join(sorted(abstract))}"
    return None

"""A conserver's ``config.yml`` as definitions of ours, and an account of every part of it.

Belongs here: what becomes of each chain, link, list and storage. Not here: writing files (``commands/``), the secrets
(``conserver_secrets.py``), what a link and its options are here (``processors/counterparts_*.py``).

Nothing is guessed and nothing is left out silently: each part gets a line, *translated* (the same here), *changed* (it
behaves otherwise here, and how), or *refused* (it has no counterpart, or not in this installation). No code is taken
from a configuration: ``pip_name`` and ``imports`` are told, never installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vcon_platform.pipelines.conserver_secrets import without_secrets
from vcon_platform.pipelines.definition import read_definition
from vcon_platform.pipelines.faults import DefinitionError, pointer, unknown
from vcon_platform.pipelines.names import name_fault, queue_fault, suggested
from vcon_platform.processors.conserver_links import LINKS, counterparts, link_of
from vcon_platform.processors.registry import Registry

Kind = Literal["translated", "changed", "refused"]

Place = tuple[str | int, ...]

_SECTIONS = ("chains", "links", "storages", "tracers", "followers", "ingress_auth", "imports")
_CHAIN = ("links", "storages", "ingress_lists", "egress_lists", "enabled", "timeout", "tracers")
_LINK = ("module", "pip_name", "options", "ingress-lists", "egress-lists")
_PLUG_IN = "install it as a plug-in (docs/write-a-processor.md)"
_OFF = (False, 0, "0", "no", "off", "false", "False")


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one part of the configuration; ``pointer`` is its place there."""

    kind: Kind
    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """One chain as a definition. ``faults``: why it cannot run here as it stands; empty if it can."""

    name: str
    definition: dict[str, Any]
    faults: tuple[str, ...]


@dataclass(slots=True)
class Translation:
    """All of a configuration. ``variables``: environment variable to set, and the place its value stood at."""

    definitions: list[Imported] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> list[Line]:
        """What has no counterpart here."""
        return [line for line in self.lines if line.kind == "refused"]

    def tell(self, kind: Kind, message: str, *at: str | int) -> None:
        """Write down what became of one part, once: a link may stand in several chains."""
        line = Line(kind, pointer(*at), message)
        if line not in self.lines:
            self.lines.append(line)


def translate(config: Any, registry: Registry) -> Translation:
    """Translate a parsed configuration. Raises :class:`DefinitionError` if it is none at all."""
    if not isinstance(config, dict) or not isinstance(config.get("chains"), dict):
        raise DefinitionError("this is no conserver configuration: it has no section 'chains'")
    told = Translation()
    names = _names(config["chains"], told)
    lists = _lists(config["chains"], told)
    for chain, name in names.items():
        _chain(chain, name, config, lists, set(names.values()), registry, told)
    used = {link for chain in config["chains"].values() for link in _listed(chain, "links")}
    for link in sorted(set(_section(config, "links")) - used):
        told.tell("changed", "stands in no chain; left out", "links", link)
    _others(config, told)
    return told


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _listed(chain: Any, member: str) -> list[str]:
    found = chain.get(member) if isinstance(chain, dict) else None
    return [str(each) for each in found] if isinstance(found, list) else []


def _names(chains: Mapping[str, Any], told: Translation) -> dict[str, str]:
    """Chain to pipeline name."""
    names: dict[str, str] = {}
    for chain in chains:
        name = chain
        if fault := name_fault(chain):
            name = suggested(chain)
            told.tell("changed", f"becomes pipeline {name!r}: {fault}", "chains", chain)
        if name in names.values():
            told.tell("refused", f"its name here, {name!r}, is another chain's; rename one of them", "chains", chain)
        else:
            names[chain] = name
    return names


def _lists(chains: Mapping[str, Any], told: Translation) -> dict[str, str]:
    """Ingress list to the chain that works on it: of two the last, as the conserver has it."""
    owners: dict[str, str] = {}
    for chain, value in chains.items():
        for index, name in enumerate(_listed(value, "ingress_lists")):
            if name in owners and owners[name] != chain:
                told.tell(
                    "changed",
                    f"list {name!r} is chain {owners[name]!r}'s as well: the last one has it, as in the conserver; to "
                    "give both every vCon, write it into the feeds of both",
                    *("chains", chain, "ingress_lists", index),
                )
            owners[name] = chain
    return owners


def _chain(
    chain: str,
    name: str,
    config: Mapping[str, Any],
    lists: Mapping[str, str],
    names: set[str],
    registry: Registry,
    told: Translation,
) -> None:
    at: Place = ("chains", chain)
    value = config["chains"][chain]
    if not isinstance(value, dict):
        told.tell("refused", "is no object with links", *at)
        return
    for key in value:
        if key not in _CHAIN:
            told.tell("refused", unknown(str(key), _CHAIN, "member of a chain"), *at, str(key))
    options: dict[str, Any] = {"label": chain, **_timeout(value, told, *at)}
    feeds = [feed for feed in _feeds(value, name, names, told, *at) if lists[feed] == chain]
    if feeds:
        options["feeds"] = feeds
    if success := _egress(value, name, feeds, told, *at):
        options["success_queue"] = success
    if value.get("enabled", True) in _OFF:
        told.tell(
            "changed",
            "is not enabled, which the conserver ignores. Here it would run too: pause its queue with 'vcon-platform "
            f"queues pause {name}'",
            *(*at, "enabled"),
        )
    if "tracers" in value:
        told.tell("changed", "has no effect inside a chain; left out", *at, "tracers")
    for index, storage in enumerate(_listed(value, "storages")):
        told.tell(
            "refused",
            f"storage {storage!r} ({_module(config, 'storages', storage)}) has no counterpart in a definition; rows go "
            "to tables by a projection (docs/projections.md)",
            *(*at, "storages", index),
        )
    if not _listed(value, "links"):
        told.tell("changed", "has no links: the conserver fails every vCon of it, here it does nothing to them", *at)
    definition = {"pipeline_options": options, "processors": list(_links(value, config, registry, told, *at))}
    faults = _faults(name, definition, registry)
    for fault in faults:
        told.tell("refused", f"cannot run here yet: {fault}", *at)
    if not faults:
        told.tell("translated", f"is pipeline {name!r}", *at)
    told.definitions.append(Imported(name, definition, faults))


def _faults(name: str, definition: Mapping[str, Any], registry: Registry) -> tuple[str, ...]:
    absent = [
        each["processor_name"] for each in definition["processors"] if each["processor_name"] not in registry.classes
    ]
    faults = [f"not available in this installation: processor {processor!r}" for processor in dict.fromkeys(absent)]
    try:
        read_definition(name, dict(definition), registry)
    except DefinitionError as error:
        found = error.faults or (str(error),)
        faults += [str(fault) for fault in found if "there is no processor" not in str(fault)]
    return tuple(faults)


def _timeout(value: Mapping[str, Any], told: Translation, *at: str | int) -> dict[str, Any]:
    timeout = value.get("timeout")
    if timeout is None:
        return {}
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 0:
        told.tell("refused", "is no number of seconds", *at, "timeout")
        return {}
    told.tell("changed", "seconds per conversation, and enforced here; the conserver never did", *at, "timeout")
    return {"timeout": timeout}


def _feeds(value: Mapping[str, Any], name: str, names: set[str], told: Translation, *at: str | int) -> list[str]:
    feeds: list[str] = []
    for index, listed in enumerate(_listed(value, "ingress_lists")):
        place: Place = (*at, "ingress_lists", index)
        if fault := queue_fault(listed):
            told.tell("refused", f"cannot be a queue here: {fault}", *place)
        elif listed == name:
            told.tell("translated", "is the pipeline's own queue", *place)
        elif listed in names:
            told.tell("refused", f"is the name of another pipeline here ({listed!r}); rename the list", *place)
        elif listed not in feeds:
            feeds.append(listed)
            told.tell(
                "changed",
                f"is feed {listed!r}: jobs enter it by name (queue={listed}), its Redis list is 'queue:{listed}'",
                *place,
            )
    return feeds


def _egress(value: Mapping[str, Any], name: str, feeds: list[str], told: Translation, *at: str | int) -> str | None:
    chosen: str | None = None
    for index, listed in enumerate(_listed(value, "egress_lists")):
        place: Place = (*at, "egress_lists", index)
        if fault := queue_fault(listed):
            told.tell("refused", f"cannot be a queue here: {fault}", *place)
        elif listed in (name, *feeds):
            told.tell("refused", "is a list this chain works on itself: its vCons would go round for ever", *place)
        elif chosen is not None:
            told.tell("refused", f"a pipeline has one success queue, and it is {chosen!r}", *place)
        else:
            chosen = listed
            told.tell("changed", f"is the success queue 'queue:{listed}'; its entries are jobs, not bare uuids", *place)
    return chosen


def _links(
    value: Mapping[str, Any], config: Mapping[str, Any], registry: Registry, told: Translation, *at: str | int
) -> Iterator[dict[str, Any]]:
    links = _section(config, "links")
    for index, link in enumerate(_listed(value, "links")):
        place: Place = (*at, "links", index)
        found = links.get(link)
        module = found.get("module") if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(module, str):
            told.tell("refused", f"link {link!r} is not declared under 'links' with a module", *place)
            continue
        for key in sorted(set(found) - {"module", "options"}):
            if key == "pip_name":
                told.tell("refused", f"packages are never installed from here; {_PLUG_IN}", "links", link, key)
            elif key in _LINK:
                told.tell("changed", "has no effect in the conserver either; left out", "links", link, key)
            else:
                told.tell("refused", unknown(key, _LINK, "member of a link"), "links", link, key)
        options = _cleaned(link, found.get("options"), told)
        processor = module.rpartition(".")[2]
        if name := link_of(module):
            processor, options = _counterpart(link, name, options, told)
        elif module.startswith("links.") and processor not in registry:
            told.tell("refused", unknown(processor, LINKS, "link of the conserver"), "links", link, "module")
        elif not module.startswith("links."):
            told.tell("refused", f"{module!r} is no link of the conserver's own; {_PLUG_IN}", "links", link, "module")
        yield {"processor_name": processor, "label": link, "processor_options": options}


def _cleaned(link: str, options: Any, told: Translation) -> dict[str, Any]:
    """A link's options as they stand there, without what is secret."""
    at = ("links", link, "options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        told.tell("refused", "is no object; left out", *at)
        return {}
    kept = dict(options)
    if "after_link" in kept:
        del kept["after_link"]
        told.tell("refused", "a hook has no counterpart here; left out", *at, "after_link")
    cleaned, variables = without_secrets(kept, f"VCON_SECRET_{link}")
    for variable, path in variables.items():
        told.variables[variable] = pointer(*at, *path)
        told.tell("changed", f"is secret: set the environment variable {variable} to it", *at, *path)
    return dict(cleaned)


def _counterpart(link: str, name: str, given: dict[str, Any], told: Translation) -> tuple[str, dict[str, Any]]:
    """The processor that the link ``name`` is here, with its options. What is no longer or not yet the same is told at
    the option that it is about."""
    at = ("links", link, "options")
    counterpart = counterparts()[name]
    options = counterpart.translate(given)
    if counterpart.processor != name:
        told.tell("changed", f"is processor {counterpart.processor!r} here", "links", link, "module")
    for note in options.notes:
        option, colon, words = note.partition(": ")
        place = (*at, option) if colon and option in given else at
        told.tell("changed", words if place != at else note, *place)
    for option, why in options.refused.items():
        told.tell("refused", why, *at, option)
    return counterpart.processor, options.options


def _module(config: Mapping[str, Any], section: str, name: str) -> str:
    found = _section(config, section).get(name)
    return str(found.get("module")) if isinstance(found, dict) else "not declared"


_WHY = {
    "tracers": "a tracer has no counterpart; the ledger records every step of every pipeline",
    "followers": "no adapter reads another conserver yet",
    "ingress_auth": "keys of ingress lists are not taken over; give callers the API's key",
    "imports": f"code is never imported from a configuration; {_PLUG_IN}",
}


def _others(config: Mapping[str, Any], told: Translation) -> None:
    """The sections that are no chains or links."""
    for section, why in _WHY.items():
        found = config.get(section)
        for name in found if isinstance(found, dict | list) else [section] if found else []:
            told.tell("refused", why, section, str(name))
    for section in config:
        if section not in _SECTIONS:
            told.tell("refused", unknown(str(section), _SECTIONS, "section"), str(section))

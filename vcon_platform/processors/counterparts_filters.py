"""The conserver's links that filter, tag, route and wait, as processors of ours.

Belongs here: what each option of such a link is here, and what is different. Not here: the shape of an entry
(``counterparts.py``), the import (``pipelines/conserver_import.py``), what the processors do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from vcon_platform.jq_child import fault_in
from vcon_platform.processors.counterparts import Counterpart, Options
from vcon_platform.processors.delay import LONGEST
from vcon_platform.processors.sampler import SamplerOptions
from vcon_platform.processors.tag import TagOptions
from vcon_platform.processors.tag_router import TagRouterOptions

_FILTERED = (
    "A conversation that ends here stands in the ledger as filtered, with processor and reason; the conserver forgets "
    "it."
)


def _rest(given: Mapping[str, Any], told: Options, *taken: str) -> Options:
    for name in given.keys() - set(taken):
        told.refused[name] = "is no option that the link has"
    return told


def _jq(given: Mapping[str, Any]) -> Options:
    told = Options({"bodies": "either"})
    program = given.get("filter")
    if program is not None and (not isinstance(program, str) or not program or (fault := fault_in(program))):
        told.refused["filter"] = f"is no jq filter: {fault}" if isinstance(program, str) and program else "is no text"
    elif program is not None:
        told.options["filter"] = program
    if "forward_matches" in given:
        told.options["forward_matches"] = bool(given["forward_matches"])
    told.notes.append(
        "filter: bodies that are JSON are values here; where the filter fails on them it is run again on texts that "
        "hold JSON, as the conserver's links write them"
    )
    return _rest(given, told, "filter", "forward_matches")


def _sampler(given: Mapping[str, Any]) -> Options:
    told = Options({})
    method = given.get("method", "percentage")
    options = {name: given[name] for name in ("method", "value", "seed") if given.get(name) is not None}
    try:
        SamplerOptions.model_validate(options)
    except ValidationError:
        what = f"{method} with value {given.get('value', 50)!r}" if isinstance(method, str) else "the method"
        told.refused["value"] = f"{what[:100]} draws nothing that can be told; every second conversation goes on"
        return _rest(given, told, "method", "value", "seed")
    told.options.update(options)
    if "seed" in options:
        told.notes.append("seed: the same conversations at every run; the conserver, seeded, keeps all of them or none")
    if method == "time_based":
        told.notes.append("method: it goes by the second in which the vCon was created, not by that of the run")
    return _rest(given, told, "method", "value", "seed")


def _tag(given: Mapping[str, Any]) -> Options:
    told = Options({})
    try:
        TagOptions.model_validate({"tags": given.get("tags")})
    except ValidationError:
        told.refused["tags"] = "holds no tags; write a list of 'name:value', or an object"
    else:
        told.options["tags"] = given["tags"]
    return _rest(given, told, "tags")


def _tag_router(given: Mapping[str, Any]) -> Options:
    told = Options({"pass_parameters": False})
    routes = given.get("tag_routes")
    kept: dict[str, str] = {}
    for tag, queue in routes.items() if isinstance(routes, Mapping) else ():
        with suppress(ValidationError):
            TagRouterOptions.model_validate({"tag_routes": {tag: queue}})
            kept[tag] = queue
            continue
        told.refused["tag_routes"] = f"route {str(tag)[:100]!r} leads to no queue; use letters, digits, '_', '.', '-'"
    if routes and not isinstance(routes, Mapping):
        told.refused["tag_routes"] = "is no object of tags and lists"
    told.options["tag_routes"] = kept
    if kept:
        told.notes.append("tag_routes: what enters the lists (queue:NAME in Redis) are jobs, not bare uuids")
    if "forward_original" in given:
        told.options["forward_original"] = bool(given["forward_original"])
    return _rest(given, told, "tag_routes", "forward_original")


def _delay(given: Mapping[str, Any]) -> Options:
    told = Options({})
    seconds = given.get("seconds", 5)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:
        told.refused["seconds"] = "is no number of seconds"
    elif seconds > LONGEST:
        told.refused["seconds"] = f"is more than {LONGEST:g}; use queue_job with its option delay, which holds no run"
        told.options["seconds"] = LONGEST
    else:
        told.options["seconds"] = max(0, seconds)
    return _rest(given, told, "seconds")


COUNTERPARTS: tuple[Counterpart, ...] = (
    Counterpart(
        "delay",
        "delay",
        _delay,
        ("Conversations wait at the same time. It can be counted from when each was queued or created.",),
    ),
    Counterpart(
        "jq_link",
        "jq_filter",
        _jq,
        (
            _FILTERED,
            "A filter that fails fails the conversation, which can be mended and run again; the link drops it.",
            "Filters are compiled when the definition is stored, and run in a child process with limits of time and "
            "memory.",
            "Bodies that are JSON are values; bodies: either runs a filter that fails on them again on texts.",
        ),
    ),
    Counterpart(
        "sampler",
        "sampler",
        _sampler,
        (
            _FILTERED,
            "The same conversations are drawn at every run, by uuid and seed; the seeded link keeps all or nothing.",
            "rate 10 is one of 10 (the link: 9.5 %); time_based goes by created_at. modulo draws the very same ones.",
        ),
    ),
    Counterpart(
        "tag",
        "tag",
        _tag,
        ("A tag that is there is not pinned on twice. Tags can be replaced and removed, too.",),
    ),
    Counterpart(
        "tag_router",
        "tag_router",
        _tag_router,
        (
            "Jobs enter the queues in the same step that settles this one; a queue's entries are jobs, not bare uuids.",
            "A route may name a tag with its value; there may be a queue for conversations without a route.",
            _FILTERED,
        ),
    ),
)
"""Every link of this family."""

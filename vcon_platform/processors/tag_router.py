"""The processor ``tag_router``: has the conversation worked on by the pipelines that its tags name; the conserver's
link of that name.

Belongs here: which tag leads where. Not here: entering a job into a queue, which happens in the same step that settles
this conversation's own job (``pipelines/engine.py``); one fixed queue (``queue_job.py``).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

from pydantic import Field, field_validator

from vcon_platform.processors.base import (
    Effects,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    QueuedJob,
)
from vcon_platform.store import keys
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags


class TagRouterOptions(ProcessorOptions):
    """What ``tag_router`` can be told."""

    tag_routes: dict[str, str] = Field(
        default_factory=dict,
        max_length=500,
        title="Routes",
        description="Tag to queue: {'billing': 'billing_calls', 'team:north': 'north'}. A name means the tag with any "
        "value; name:value exactly that. A queue is a pipeline's name, a feed, or any queue that somebody reads.",
    )
    default_queue: str = Field(
        default="",
        title="Otherwise",
        description="The queue of conversations with no tag that has a route; empty: none.",
    )
    forward_original: bool = Field(
        default=True,
        title="Go on here",
        description="True: the conversation goes on in this pipeline as well; false: its way here ends.",
    )
    pass_parameters: bool = Field(
        default=True,
        title="Pass parameters on",
        description="The other pipelines begin with this conversation's parameters. False: without any.",
    )
    priority: Literal["urgent", "normal", "low"] = Field(
        default="normal", title="Priority", description="urgent jobs of a queue are taken before normal ones, low last."
    )

    @field_validator("tag_routes")
    @classmethod
    def _routes(cls, routes: dict[str, str]) -> dict[str, str]:
        for tag, name in routes.items():
            if not tag.partition(":")[0].strip():
                raise ValueError("a route begins with the name of a tag")
            _queue(name)
        return routes

    @field_validator("default_queue")
    @classmethod
    def _default(cls, name: str) -> str:
        return _queue(name) if name else name


def _queue(name: str) -> str:
    try:
        keys.queue(name)
    except keys.NameRefused as error:
        raise ValueError(str(error)) from None
    return name


class TagRouter(Processor[TagRouterOptions]):
    """Jobs for the pipelines that tags name."""

    name = "tag_router"
    version = "1.0.0"
    title = "Route by tags"
    description = (
        "Enters the conversation into the queues that its tags name when this job is done, in the same step. Sets the "
        "parameter tag_router to {queues: [...]}."
    )
    effects = Effects(may_drop=True)
    options = TagRouterOptions

    def process(self, io: ProcessorIO, options: TagRouterOptions) -> ProcessorIO:
        """Raises PermanentError where a route leads back to this pipeline, round and round for ever."""
        queues = routes(io.vcon, options)
        if io.context.pipeline in queues:
            raise PermanentError(
                f"/tag_routes: queue {io.context.pipeline!r} is this pipeline's own, so the conversation would go "
                "round for ever; name another"
            )
        io.parameters[self.name] = {"queues": queues}
        handed_on = deepcopy(io.parameters) if options.pass_parameters else {}
        for queue in queues:
            io.queue(
                QueuedJob(
                    queue=queue,
                    vcon_uuids=(io.vcon.uuid,),
                    parameters=deepcopy(handed_on),
                    priority=options.priority,
                    from_queue=io.context.pipeline,
                )
            )
        if not options.forward_original:
            io.drop(f"routed to {', '.join(queues)}" if queues else "no tag of it has a route")
        return io


def routes(vcon: Vcon, options: TagRouterOptions) -> list[str]:
    """The queues that the conversation's tags lead to, each once, in the order of the routes."""
    pinned = tags(vcon)
    known = {name for name, _ in pinned} | {f"{name}:{value}" for name, value in pinned}
    found = [queue for tag, queue in options.tag_routes.items() if _tidy(tag) in known]
    return list(dict.fromkeys(found)) or ([options.default_queue] if options.default_queue else [])


def _tidy(tag: str) -> str:
    name, colon, value = tag.partition(":")
    return f"{name.strip()}:{value.strip()}" if colon else name.strip()

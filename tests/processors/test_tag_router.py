"""``tag_router``: jobs for the pipelines that tags name."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import UUID, document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.tag_router import TagRouter, TagRouterOptions
from vcon_platform.processors.testing import processor_tests

ROUTES = {"billing": "billing_calls", "team:north": "north", "topic": "billing_calls", "vip": "vip_calls"}


def call(*pinned: str) -> ProcessorIO:
    return io_of(document(attachments=[{"purpose": "tags", "body": list(pinned or ("billing:yes",))}]))


def run(io: ProcessorIO, **options: Any) -> ProcessorIO:
    return TagRouter().process(io, TagRouterOptions(**{"tag_routes": ROUTES, **options}))


def queues(io: ProcessorIO) -> list[str]:
    return [job.queue for job in io.queued]


TestTagRouterStandard = processor_tests(TagRouter, example_io=call, options={"tag_routes": ROUTES})


@pytest.mark.parametrize(
    ("pinned", "where"),
    [
        (["billing:yes"], ["billing_calls"]),
        (["team:north"], ["north"]),
        (["team:south"], []),
        (["topic:refund", "billing:no", "vip:vip"], ["billing_calls", "vip_calls"]),
        (["other:x"], []),
    ],
)
def test_each_tag_leads_to_its_queue_once(pinned: list[str], where: list[str]) -> None:
    io = run(call(*pinned))
    assert (queues(io), io.parameters["tag_router"]) == (where, {"queues": where})


def test_the_conversation_goes_on_here_unless_it_is_told_not_to() -> None:
    assert run(call()).dropped is None
    assert run(call(), forward_original=False).dropped == "routed to billing_calls"
    assert run(call("x:y"), forward_original=False).dropped == "no tag of it has a route"


def test_what_has_no_route_may_have_a_queue() -> None:
    assert queues(run(call("x:y"), default_queue="others")) == ["others"]
    assert queues(run(call(), default_queue="others")) == ["billing_calls"]


def test_the_job_says_what_it_is_about_and_where_it_comes_from() -> None:
    io = call()
    io.parameters["score"] = [7]
    [job] = run(io, priority="urgent").queued
    io.parameters["score"].append(8)
    assert (job.vcon_uuids, job.from_queue, job.priority) == ((UUID,), "recall", "urgent")
    assert job.parameters["score"] == [7]


def test_parameters_may_stay_here() -> None:
    [job] = run(call(), pass_parameters=False).queued
    assert job.parameters == {}


def test_a_route_back_here_is_refused() -> None:
    with pytest.raises(PermanentError, match="round for ever"):
        run(call(), tag_routes={"billing": "recall"})


@pytest.mark.parametrize(
    "options",
    [{"tag_routes": {"a": "x:y"}}, {"tag_routes": {"": "x"}}, {"default_queue": "a b"}, {"tag_routes": ["a"]}],
)
def test_what_is_no_queue_is_refused_with_the_definition(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TagRouterOptions(**options)

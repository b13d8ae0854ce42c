"""``queue_job``: what the job says."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import UUID, document, io_of
from vcon_platform.processors.base import QueuedJob
from vcon_platform.processors.queue_job import QueueJob, QueueJobOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon

TestQueueJobStandard = processor_tests(
    QueueJob, example_io=lambda: io_of(document()), options={"queue_name": "review", "from_queue": "calls"}
)


def ask(**options: Any) -> QueuedJob:
    io = io_of(document())
    io.parameters.update(score=3, agent="a")
    [job] = QueueJob().process(io, QueueJobOptions.model_validate({"queue_name": "review", **options})).queued
    return job


def test_a_job_for_the_conversation_is_asked_for() -> None:
    assert ask(pass_parameters=False) == QueuedJob("review", (UUID,))


def test_it_says_what_it_was_told_to() -> None:
    job = ask(from_queue="calls", priority="urgent", delay=60, parameters={"agent": "b"})
    assert job == QueuedJob("review", (UUID,), {"score": 3, "agent": "b"}, "urgent", 60.0, "calls")


def test_the_conversations_parameters_are_handed_on_merged_with_the_options() -> None:
    assert ask(parameters={"score": 4}).parameters == {"score": 4, "agent": "a"}


def test_parameters_stay_behind_where_they_shall() -> None:
    assert ask(pass_parameters=False, parameters={"score": 4}).parameters == {"score": 4}


def test_it_is_the_vcon_that_is_worked_on() -> None:
    io = io_of(document())
    io.vcons.append(Vcon(document(uuid="018f3a2b-4c5d-8e6f-9012-3456789abcdf")))
    io.input_index = 1
    [job] = QueueJob().process(io, QueueJobOptions(queue_name="review")).queued
    assert job.vcon_uuids == ("018f3a2b-4c5d-8e6f-9012-3456789abcdf",)


def test_the_definitions_of_py_vcon_server_may_name_no_origin() -> None:
    assert ask(from_queue=None).from_queue == ""


@pytest.mark.parametrize("name", ["", "a:b", "../x", "a b"])
def test_a_name_that_can_be_no_queue_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        QueueJobOptions(queue_name=name)

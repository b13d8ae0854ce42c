"""``create_amended``: a copy beside the original, each pointing at the other."""

import pytest

from tests.processors.support import UUID, document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO, ProcessorOptions
from vcon_platform.processors.create_amended import CreateAmended
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.lineage import Link, lineage_of

JOB = "0199034f-0000-7000-8000-000000000000"


def call() -> ProcessorIO:
    return io_of(document(subject="Heater", parties=[{"name": "Alice"}]))


def broken() -> ProcessorIO:
    return io_of(document(amended={"uuid": UUID, "body": "{}"}))


def run(io: ProcessorIO) -> ProcessorIO:
    return CreateAmended().process(io, ProcessorOptions())


TestCreateAmendedStandard = processor_tests(CreateAmended, example_io=call, failing_io=broken)


def test_the_copy_stands_behind_the_original_and_holds_all_of_it() -> None:
    original, copy = run(call()).vcons
    assert copy.uuid != original.uuid
    assert (copy.data["subject"], copy.parties) == ("Heater", [{"name": "Alice"}])


def test_each_points_at_the_other() -> None:
    original, copy = run(call()).vcons
    assert lineage_of(copy.data) == [Link("amended", original.uuid, "original")]
    assert Link("amended", copy.uuid, "copy") in lineage_of(original.data)


def test_it_is_to_be_stored() -> None:
    io = run(call())
    assert io.added == io.vcons[1:]


def test_a_change_of_the_copy_leaves_the_original_alone() -> None:
    original, copy = run(call()).vcons
    copy.parties[0]["name"] = "Bob"
    assert original.parties == [{"name": "Alice"}]


def test_a_repeated_job_makes_the_same_copy() -> None:
    copies = []
    for _ in range(2):
        io = call()
        io.job_id = JOB
        copies.append(run(io).vcons[1].data)
    assert copies[0] == copies[1]
    assert copies[0]["created_at"].startswith("2025-")


def test_a_vcon_that_carries_another_is_refused() -> None:
    with pytest.raises(PermanentError, match="cannot be amended"):
        run(broken())

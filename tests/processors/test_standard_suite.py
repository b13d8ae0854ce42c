"""The standard suite finds what it is there to find: each fault of a bad processor fails one of its tests."""

from collections.abc import Callable

import pytest

from tests.processors.support import document, io_of
from vcon_platform.processors.base import (
    Effect,
    Effects,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    Usage,
)
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

_calls = iter(range(1_000_000))


def make(work: Callable[[ProcessorIO], None], **members: object) -> type[Processor[ProcessorOptions]]:
    """A processor that does this work."""

    def process(self: object, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        work(io)
        return io

    about = {"name": "sample", "version": "1", "title": "Sample", "description": "For tests.", "process": process}
    return type("Sample", (Processor,), {**about, **members})


class WithPassword(ProcessorOptions):
    smtp_password: str = ""


def nothing(io: ProcessorIO) -> None:
    """Does no harm and no work."""


def mutate_silently(io: ProcessorIO) -> None:
    io.vcon.data["subject"] = "changed"


def append(io: ProcessorIO) -> None:
    io.vcon.append("analysis", {"type": "report"})


def drop(io: ProcessorIO) -> None:
    io.drop("no reason")


def differ(io: ProcessorIO) -> None:
    io.parameters["n"] = next(_calls)


def change_then_fail(io: ProcessorIO) -> None:
    append(io)
    raise PermanentError("too late")


def crash(io: ProcessorIO) -> None:
    if io.vcon.parties and "name" in io.vcon.parties[0]:
        io.vcon.parties[0]["name"].upper()


def add_a_random_one(io: ProcessorIO) -> None:
    io.add(Vcon({**io.vcon.data, "uuid": new_uuid()}))


def add_itself(io: ProcessorIO) -> None:
    io.add(Vcon(dict(io.vcon.data)))


def send(io: ProcessorIO) -> None:
    io.send(Effect({"to": "nobody"}))


def send_then_fail(io: ProcessorIO) -> None:
    send(io)
    raise PermanentError("too late")


def leave_an_object(io: ProcessorIO) -> None:
    io.parameters["it"] = _ODD


def buy(io: ProcessorIO) -> None:
    io.buy(SAMPLE, ("the same",), lambda: ("bought", Usage("test")))


def buy_twice(io: ProcessorIO) -> None:
    io.buy(SAMPLE, (str(next(_calls)),), lambda: ("bought", Usage("test")))


_ODD = object()
SAMPLE = make(nothing)()


@pytest.mark.parametrize(
    ("work", "members", "failing"),
    [
        (nothing, {}, "test_can_work_in_a_process_of_its_own"),  # a class that no module knows
        (nothing, {"pool": "a pool"}, "test_a_pool_has_a_name_that_a_setting_can_hold"),
        (add_a_random_one, {"effects": Effects(changes=True)}, "test_same_input_twice_has_the_same_effect"),
        (add_a_random_one, {}, "test_does_only_what_it_declares"),
        (add_itself, {"effects": Effects(changes=True)}, "test_what_it_makes_and_asks_for_can_be_kept"),
        (leave_an_object, {}, "test_what_it_makes_and_asks_for_can_be_kept"),
        (send, {}, "test_does_only_what_it_declares"),
        (send_then_fail, {"effects": Effects(sends=True)}, "test_leaves_the_vcon_untouched_when_it_fails"),
        (buy, {}, "test_what_it_buys_is_bought_once"),
        (buy_twice, {"effects": Effects(costs=True)}, "test_what_it_buys_is_bought_once"),
        (nothing, {"effects": Effects(costs=True)}, "test_what_it_buys_is_bought_once"),
        (nothing, {"effects": Effects(purpose="To Analyse")}, "test_the_purpose_is_one_that_a_consent_can_name"),
        (nothing, {"options": WithPassword}, "test_a_secret_is_marked_as_one"),
        (nothing, {"name": "Bad Name"}, "test_says_what_it_is"),
        (nothing, {"version": "latest"}, "test_says_what_it_is"),
        (nothing, {"title": ""}, "test_says_what_it_is"),
        (mutate_silently, {"effects": Effects(changes=True)}, "test_every_change_is_recorded"),
        (append, {}, "test_does_only_what_it_declares"),
        (drop, {}, "test_does_only_what_it_declares"),
        (differ, {}, "test_same_input_twice_has_the_same_effect"),
        (change_then_fail, {"effects": Effects(changes=True)}, "test_leaves_the_vcon_untouched_when_it_fails"),
        (nothing, {}, "test_leaves_the_vcon_untouched_when_it_fails"),
    ],
)
def test_a_fault_fails_its_test(work: Callable[[ProcessorIO], None], members: dict[str, object], failing: str) -> None:
    def fresh() -> ProcessorIO:
        return io_of(document())

    suite = processor_tests(make(work, **members), example_io=fresh, failing_io=fresh)
    with pytest.raises(pytest.fail.Exception):
        getattr(suite(), failing)()


def test_what_is_bought_as_declared_passes_the_suite() -> None:
    suite = processor_tests(make(buy, effects=Effects(costs=True)), example_io=lambda: io_of(document()))
    suite().test_what_it_buys_is_bought_once()


def test_a_crash_on_an_odd_document_fails_the_suite() -> None:
    suite = processor_tests(make(crash), example_io=lambda: io_of(document()))
    with pytest.raises(AttributeError):
        suite().test_does_not_fall_over_documents_from_outside("members of wrong types")


def test_an_option_without_a_description_fails_the_suite() -> None:
    class Options(ProcessorOptions):
        silent: int = 1

    suite = processor_tests(make(nothing, options=Options), example_io=lambda: io_of(document()))
    with pytest.raises(pytest.fail.Exception, match="silent"):
        suite().test_every_option_explains_itself()

"""``set_parameters``: values for the processors after it."""

from tests.processors.support import document, io_of
from vcon_platform.processors.set_parameters import SetParameters, SetParametersOptions
from vcon_platform.processors.testing import processor_tests

GIVEN = {"limit": 7, "words": ["a"], "nothing": None}

TestSetParametersStandard = processor_tests(
    SetParameters, example_io=lambda: io_of(document()), options={"parameters": GIVEN}
)


def test_they_are_set_beside_those_that_are_there() -> None:
    io = io_of(document())
    io.parameters.update(limit=1, kept=True)
    SetParameters().process(io, SetParametersOptions(parameters=GIVEN))
    assert io.parameters == {**GIVEN, "kept": True}


def test_what_a_later_processor_does_to_them_stays_in_this_conversation() -> None:
    options = SetParametersOptions(parameters=GIVEN)
    SetParameters().process(io_of(document()), options).parameters["words"].append("b")
    assert options.parameters["words"] == ["a"]

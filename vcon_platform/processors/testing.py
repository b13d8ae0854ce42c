"""The standard tests of a processor: what the platform relies on, whoever wrote it.

    TestMyProcessor = processor_tests(MyProcessor, example_io=make_io, options={"words": ["x"]})

Belongs here: rules that hold for every processor. Not here: what one processor is for, which its own tests say.
Needs pytest, so import it from tests only.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from vcon_platform.processors import running
from vcon_platform.processors.base import Buyer, NotApplicable, Processor, ProcessorError, ProcessorIO, Usage
from vcon_platform.processors.describe import secret_options
from vcon_platform.vcon.document import Vcon

_SECRET = re.compile(r"^(?!public_)(.*_)?(api_?key|key|password|passwd|secret|token|credentials?|pem)$")

MakeIO = Callable[[], ProcessorIO]

_UUID, _TIME = "018f3a2b-4c5d-8e6f-9012-3456789abcde", "2026-09-01T12:00:00Z"
_JOB = "0199034f-0000-7000-8000-000000000000"

HOSTILE_DOCUMENTS: Mapping[str, dict[str, Any]] = {
    "nothing but the uuid": {},
    "empty elements": {"parties": [{}], "dialog": [{}], "analysis": [{}], "attachments": [{}]},
    "members of wrong types": {
        "parties": [{"name": ["a"], "tel": 5}],
        "dialog": [{"type": ["recording"], "body": {"a": 1}, "parties": "all", "start": 7}],
        "analysis": [{"type": {}, "dialog": "0", "body": 3.5}],
        "attachments": [{"purpose": 1, "body": None}],
    },
    "a recording that is none": {
        "dialog": [{"type": "recording", "body": "bm90IGF1ZGlv", "encoding": "base64url", "parties": [0, 99]}],
    },
    "a recording that is not base64url": {"dialog": [{"type": "recording", "body": "***", "encoding": "base64url"}]},
    "indexes that point nowhere": {
        "parties": [{}],
        "dialog": [{"type": "text", "body": "hello", "parties": [7, [8, None]], "originator": -1}],
        "analysis": [{"type": "transcript", "dialog": [99], "body": [{"speaker": -3, "message": "hi", "start": "x"}]}],
    },
    "characters that trip terminals": {
        "parties": [{"name": "\u202eEvil\u200b"}],
        "dialog": [{"type": "text", "body": "\x00 =HYPERLINK(1) \U0001f600\u0301", "parties": [0]}],
    },
}
"""Documents as they come from outside, through the gates: the arrays are arrays of objects, and that is all that is
certain. A processor may refuse one with a ProcessorError; it may not fall over."""


def processor_tests(
    processor_class: type[Processor[Any]],
    *,
    example_io: MakeIO,
    options: Mapping[str, Any] | None = None,
    failing_io: MakeIO | None = None,
    make: Callable[[], Processor[Any]] | None = None,
) -> type:
    """A pytest class with the standard tests.

    ``example_io`` makes a fresh input that the processor has work with, ``options`` are its options then;
    ``failing_io`` makes one on which it must raise; ``make`` builds the instance where the class needs a test double.
    """
    build = make or processor_class
    chosen = dict(options or {})

    def run(io: ProcessorIO) -> ProcessorIO:
        io.job_id = io.job_id or _JOB
        return running.run(build(), io, processor_class.options.model_validate(chosen))

    class StandardTests:
        def test_says_what_it_is(self) -> None:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", processor_class.name):
                pytest.fail("name: lower-case letters, digits and '_', beginning with a letter (it names Dagster's op)")
            if not re.fullmatch(r"\d+(\.\d+){0,2}", processor_class.version):
                pytest.fail("version: numbers with dots; the result cache and the ledger know results by it")
            if not processor_class.title or not processor_class.description:
                pytest.fail("title and description must be set: they are all a user sees")

        def test_a_pool_has_a_name_that_a_setting_can_hold(self) -> None:
            if processor_class.pool is not None and not re.fullmatch(
                r"[A-Za-z0-9][A-Za-z0-9_.-]*", processor_class.pool
            ):
                pytest.fail("pool: letters, digits, '_', '.', '-' (it is named in VCON_POOLS)")

        def test_can_work_in_a_process_of_its_own(self) -> None:
            """A time limit needs that."""
            given = processor_class.options.model_validate(chosen)
            try:
                again = pickle.loads(pickle.dumps((processor_class, given)))  # noqa: S301 - our own
            except (pickle.PickleError, AttributeError, TypeError):
                again = None
            if again != (processor_class, given):
                pytest.fail("class and options must survive pickling; define both at the top of a module")

        def test_every_option_explains_itself(self) -> None:
            for name, field in processor_class.options.model_fields.items():
                if not field.title or not field.description:
                    pytest.fail(f"option {name}: title and description must be set")

        def test_a_secret_is_marked_as_one(self) -> None:
            """A definition that holds one is refused by that mark."""
            for name in processor_class.options.model_fields:
                if _SECRET.search(name) and name not in secret_options(processor_class.options):
                    pytest.fail(
                        f"option {name}: mark it json_schema_extra={{'secret': True}}, so that it takes references"
                    )

        def test_the_purpose_is_one_that_a_consent_can_name(self) -> None:
            purpose = processor_class.effects.purpose
            if purpose and not re.fullmatch(r"[a-z][a-z0-9_-]*", purpose):
                pytest.fail("effects.purpose: a word in lower-case letters, as transcription or analysis")

        def test_defaults_are_valid_and_the_schema_is_json(self) -> None:
            orjson.dumps(processor_class.options.model_json_schema())
            given = processor_class.options.model_validate(chosen)
            if processor_class.options.model_validate(given.model_dump(mode="json")) != given:
                pytest.fail("options must survive a round trip through JSON: that is how definitions hold them")

        def test_refuses_options_it_does_not_know(self) -> None:
            with pytest.raises(ValidationError):
                processor_class.options.model_validate({**chosen, "no_such_option": 1})

        def test_same_input_twice_has_the_same_effect(self) -> None:
            first, second = run(example_io()), run(example_io())
            if _outcome(first) != _outcome(second):
                pytest.fail("two runs on equal inputs differ: a retry would give another result")

        def test_every_change_is_recorded(self) -> None:
            io = example_io()
            before = [deepcopy(vcon.data) for vcon in io.vcons]
            after = run(io)
            for data, vcon in zip(before, after.vcons, strict=False):
                if vcon.reformed and vcon.envelope is not None:  # its changes are on top of its new form
                    data = orjson.loads(vcon.envelope.view)
                if Vcon(data, changes=deepcopy(vcon.changes)).data != vcon.data:
                    pytest.fail("the document was changed past Vcon.append and Vcon.put: such a change is lost")

        def test_what_it_makes_and_asks_for_can_be_kept(self) -> None:
            after = run(example_io())
            try:
                orjson.dumps([[vcon.data for vcon in after.vcons], after.parameters, after.queued, after.effects])
            except TypeError as error:
                pytest.fail(f"it left what JSON cannot hold: {error}")
            uuids = [vcon.uuid for vcon in after.vcons]
            if len(set(uuids)) < len(uuids):
                pytest.fail("it added a vCon of a uuid that is there already; io.new_uuid() gives a new one")

        def test_does_only_what_it_declares(self) -> None:
            after = run(example_io())
            if any(vcon.changed for vcon in after.vcons) and not processor_class.effects.changes:
                pytest.fail("it changes vCons, but its effects do not say so")
            if after.added and not processor_class.effects.changes:
                pytest.fail("it adds vCons, but its effects do not say so")
            if after.effects and not processor_class.effects.sends:
                pytest.fail("it has something sent, but its effects do not say so")
            if after.dropped is not None and not processor_class.effects.may_drop:
                pytest.fail("it drops conversations, but its effects do not say so")

        def test_what_it_buys_is_bought_once(self) -> None:
            results, account = _Results(), _Account()
            for _ in range(2):
                io = example_io()
                io.context = replace(io.context, results=results, purchases=account)
                run(io)
                if account.paid and not processor_class.effects.costs:
                    pytest.fail("it buys something, but its effects do not say that it costs")
                account.runs.append(account.paid)
            first, both = account.runs
            if both > first:
                pytest.fail("equal conversations were paid for twice: the parts it buys under differ, or its version")
            if processor_class.effects.costs and not first:
                pytest.fail(
                    "its effects say that it costs, but it buys nothing by io.buy; or example_io gives it no work"
                )

        @pytest.mark.parametrize("what", HOSTILE_DOCUMENTS)
        def test_does_not_fall_over_documents_from_outside(self, what: str) -> None:
            io = example_io()
            data = {"uuid": _UUID, "created_at": _TIME, **deepcopy(HOSTILE_DOCUMENTS[what])}
            io.vcons[:] = [Vcon(data)]
            _run_or_refuse(run, io)

        def test_leaves_the_vcon_untouched_when_it_fails(self) -> None:
            if failing_io is None:
                return
            io = failing_io()
            if not _run_or_refuse(run, io):
                pytest.fail("failing_io must make the processor raise a ProcessorError")

    StandardTests.__name__ = StandardTests.__qualname__ = f"Test{processor_class.__name__}Standard"
    return StandardTests


class _Results:
    """A result cache in memory; values go through JSON, as in the real one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], bytes] = {}

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        if parts not in self._kept:
            self._kept[parts] = orjson.dumps(compute())
        return orjson.loads(self._kept[parts])


class _Account:
    """Counts what is bought."""

    def __init__(self) -> None:
        self.paid = 0
        self.runs: list[int] = []

    def before(self, buyer: Buyer) -> None:
        """Everything may be bought."""

    def after(self, buyer: Buyer, usage: Usage) -> None:  # noqa: ARG002 - as the protocol has it
        self.paid += 1


def _run_or_refuse(run: Callable[[ProcessorIO], ProcessorIO], io: ProcessorIO) -> bool:
    """Run; True if it refused. A refusal must be a sentence and leave vCons and parameters as they were."""
    before = deepcopy(([vcon.data for vcon in io.vcons], io.parameters))
    asked = len(io.queued), len(io.effects)
    try:
        run(io)
    except ProcessorError as error:
        if not str(error):
            pytest.fail("an error must say what is wrong")
        after = ([vcon.data for vcon in io.vcons], io.parameters)
        if after != before or any(vcon.changes for vcon in io.vcons):
            pytest.fail(f"it raised {type(error).__name__} after it had changed something")
        if (len(io.queued), len(io.effects)) != asked:
            pytest.fail(f"it raised {type(error).__name__} after it had asked for a job or an effect")
        return not isinstance(error, NotApplicable)
    return False


def _outcome(io: ProcessorIO) -> Any:
    """Uuids of new vCons are part of it: a repetition after a crash must make the same ones."""
    return [_timeless(vcon.data) for vcon in io.vcons], io.parameters, io.dropped, io.queued, io.effects


def _timeless(value: Any) -> Any:
    """The value without the moments at which something was written down, which may differ between two runs: the
    start of an attachment is one (text), the start of a word is none (a number)."""
    if isinstance(value, dict):
        moments = {k for k in ("processed_at", "start", "updated_at") if isinstance(value.get(k), str)}
        return {k: _timeless(v) for k, v in value.items() if k not in moments}
    return [_timeless(item) for item in value] if isinstance(value, list) else value

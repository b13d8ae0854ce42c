"""The documentation says what the code does: every processor and option is there, and its examples run."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vcon_platform.processors.base import Processor, ProcessorOptions
from vcon_platform.processors.registry import load_processors
from vcon_platform.processors.testing import HOSTILE_DOCUMENTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", load_processors().names)
def test_every_built_in_processor_and_option_is_documented(name: str) -> None:
    processor = load_processors().get(name)
    if not processor.__module__.startswith("vcon_platform."):
        return
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", (DOCS / "processors.md").read_text(), re.M | re.S)
    assert section, f"docs/processors.md has no section {name}"
    own = set(processor.options.model_fields) - set(ProcessorOptions.model_fields)
    assert [option for option in sorted(own) if f"| `{option}` |" not in section.group(1)] == []


def test_the_example_of_a_processor_runs_and_passes_the_standard_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    code, tests = re.findall(r"```python\n(.*?)```", (DOCS / "write-a-processor.md").read_text(), re.S)
    modules = {name: ModuleType(name) for name in ("my_processors", "my_processors.long_calls", "their_tests")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, "long_calls.py", "exec"), modules["my_processors.long_calls"].__dict__)  # noqa: S102
    exec(compile(tests, "test_long_calls.py", "exec"), modules["their_tests"].__dict__)  # noqa: S102
    theirs = vars(modules["their_tests"])
    theirs["test_a_short_call_ends_here"]()
    suite = theirs["TestLongCallsStandard"]()
    checks = [check for check in dir(suite) if check.startswith("test_") and "outside" not in check]
    assert len(checks) > 6
    for check in checks:
        getattr(suite, check)()
    for what in HOSTILE_DOCUMENTS:
        suite.test_does_not_fall_over_documents_from_outside(what)
    assert issubclass(vars(modules["my_processors.long_calls"])["LongCalls"], Processor)

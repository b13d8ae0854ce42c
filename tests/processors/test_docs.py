"""The documentation says what the code does: every processor and option is there, and its examples run."""

import re
import sys
from functools import partialmethod
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import Field
from typer.testing import CliRunner

from tests.processors.support import ResultsInMemory, context, document
from vcon_platform.commands.processors import app
from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.conserver_links import LINKS, counterparts
from vcon_platform.processors.counterparts_py_vcon import PY_VCON
from vcon_platform.processors.documentation import COMPARISON, REFERENCE, generated, pages, reference
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.processors.testing import HOSTILE_DOCUMENTS, processor_tests
from vcon_platform.vcon.document import Vcon

DOCS = Path(__file__).parents[2] / "docs"


REGISTRY = load_processors()
OWN = [cls.name for cls in REGISTRY if cls.__module__.startswith("vcon_platform.")]
PY_VCON_SERVER = (
    *("create_amended", "decrypt", "deepgram", "encrypt", "jq", "openai_chat_completion", "queue_job", "send_email"),
    *("set_parameters", "sign", "text_pii_redactor", "verify", "whisper_base"),
)


@pytest.mark.parametrize("page", [REFERENCE, COMPARISON])
def test_a_page_that_is_made_from_the_processors_is_up_to_date(page: str) -> None:
    made = generated(REGISTRY, DOCS)[page]
    assert (DOCS / page).read_text() == made, "run: vcon-platform processors docs"


def test_the_command_writes_both_pages_and_nothing_else(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["docs", "--dir", str(tmp_path)]).exit_code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == [COMPARISON, REFERENCE]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "is no folder" in str(CliRunner().invoke(app, ["docs", "--dir", str(tmp_path / "gone")]).exception)


@pytest.mark.parametrize("name", OWN)
def test_every_built_in_processor_has_a_section_on_its_familys_page(name: str) -> None:
    assert name in pages(DOCS), f"no docs/processors*.md has a heading '## {name}'"


@pytest.mark.parametrize("name", OWN)
def test_every_built_in_processor_is_found_from_the_index(name: str) -> None:
    assert f"[{name}](" in (DOCS / "processors.md").read_text()


def test_every_link_between_the_pages_of_the_processors_leads_somewhere() -> None:
    broken = [
        f"{page.name}: {link}"
        for page in [*DOCS.glob("processor*.md"), DOCS / COMPARISON, DOCS / "write-a-processor.md"]
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not _leads_somewhere(page, link)
    ]
    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if "://" in link:
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if target.suffix == ".md" else []
    return not anchor or anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", PY_VCON_SERVER)
def test_every_processor_of_py_vcon_server_is_there_and_compared(name: str) -> None:
    assert name in REGISTRY
    assert PY_VCON[name], f"counterparts_py_vcon.py does not say what is different in {name}"


@pytest.mark.parametrize("link", LINKS)
def test_every_link_of_the_conserver_is_a_processor_that_is_there(link: str) -> None:
    assert counterparts()[link].processor in REGISTRY


def test_there_are_thirteen_processors_and_twenty_three_links() -> None:
    assert (len(PY_VCON), len(LINKS)) == (13, 23)
    assert (set(PY_VCON), set(counterparts())) == (set(PY_VCON_SERVER), set(LINKS))


def test_the_comparison_tells_once_what_many_links_share() -> None:
    text = (DOCS / COMPARISON).read_text()
    shared = re.findall(r"^- \*\*[a-z]\*\* (.*)$", text, re.M)
    assert shared
    assert [each for each in shared if text.count(each) > 1] == []


def test_what_markdown_would_misread_is_escaped() -> None:
    class Options(ProcessorOptions):
        odd: str = Field(default="a|`b`", title="Odd", description="<b> or a|b.")

    class Odd(Processor[Options]):
        name = "odd"
        version = "1"
        title = "Odd"
        description = "Odd."
        options = Options

        def process(self, io: ProcessorIO, options: Options) -> ProcessorIO:
            return io

    Odd.__module__ = "vcon_platform.odd"
    assert '| `odd` | string | ``"a\\|`b`"`` | &lt;b> or a\\|b. |' in reference(Registry({"odd": Odd}), {})


def _examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / "write-a-processor.md").read_text(), re.S)


def test_the_example_that_calls_a_service_buys_what_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("my_processors.mood")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("MOOD_API_KEY", "k")
    exec(compile(_examples()[2], "mood.py", "exec"), module.__dict__)  # noqa: S102
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        return httpx.Response(200, json={"score": 7})

    monkeypatch.setattr(httpx.AsyncClient, "__init__", partialmethod(_with_transport, httpx.MockTransport(answer)))
    results = ResultsInMemory()

    def a_chat() -> ProcessorIO:
        dialog = {"type": "text", "body": "Well done.", "encoding": "none", "parties": [0]}
        return ProcessorIO([Vcon(document(dialog=[dialog]))], context(results=results))

    suite = processor_tests(module.__dict__["Mood"], example_io=a_chat)()
    suite.test_same_input_twice_has_the_same_effect()
    suite.test_every_option_explains_itself()
    suite.test_does_only_what_it_declares()
    assert asked == ["Bearer k"]


_plain_init = httpx.AsyncClient.__init__


def _with_transport(client: httpx.AsyncClient, transport: httpx.AsyncBaseTransport, **given: Any) -> None:
    _plain_init(client, transport=transport, **given)


def test_the_example_of_a_processor_runs_and_passes_the_standard_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    code, tests, _ = _examples()
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

"""The registry: entry points in, processors and clear complaints out."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model
from typer.testing import CliRunner

from tests.processors.support import document, io_of
from vcon_platform.commands.processors import app
from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.describe import describe
from vcon_platform.processors.registry import GROUP, UnknownProcessor, load_processors
from vcon_platform.processors.testing import processor_tests


class Shout(Processor[ProcessorOptions]):
    """A stranger's processor."""

    name = "shout"
    version = "1"
    title = "Shout"
    description = "Counts to one, loudly."

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.parameters["shout"] = "ONE"
        return io


class Inner(BaseModel):
    """An option with members."""

    one: int = 1
    two: str = ""


class Nameless(Processor[ProcessorOptions]):
    """Forgot to say what it is."""

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        return io


def announced(name: str, what: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{what}" if ":" not in what else what, GROUP)


def test_the_built_in_processors_are_found_by_their_entry_points() -> None:
    registry = load_processors()
    assert {"transcribe", "recall_finder", "projection"} <= set(registry.names)
    assert registry.broken == {}
    assert list(registry.names) == sorted(registry.names)


def test_an_instance_is_made_once() -> None:
    registry = load_processors()
    assert registry.instance("recall_finder") is registry.instance("recall_finder")
    assert isinstance(registry.instance("recall_finder"), registry.get("recall_finder"))


def test_a_plugin_is_taken_like_a_built_in() -> None:
    assert load_processors([announced("shout", "Shout")]).get("shout") is Shout


def test_an_unknown_name_offers_the_one_that_was_meant() -> None:
    with pytest.raises(UnknownProcessor, match=r"no processor 'transcibe'; did you mean 'transcribe'\?"):
        load_processors().get("transcibe")


def test_a_link_of_the_conserver_is_told_by_its_name_here() -> None:
    with pytest.raises(UnknownProcessor, match=r"'deepgram_link' is a link of the conserver; here it .* 'deepgram'"):
        load_processors().get("deepgram_link")


@pytest.mark.parametrize(
    ("name", "what", "why"),
    [
        ("gone", "no_such_module_here:Thing", "ModuleNotFoundError"),
        ("gone", "Missing", "AttributeError"),
        ("json", "json:dumps", "not a subclass"),
        ("nameless", "Nameless", "its name must be set"),
        ("whisper", "Shout", "its name is 'shout', but its entry point is called 'whisper'"),
    ],
)
def test_a_broken_plugin_is_named_with_the_cause_and_harms_no_other(name: str, what: str, why: str) -> None:
    registry = load_processors([announced(name, what), announced("shout", "Shout")])
    assert why in registry.broken[name]
    assert registry.names == ("shout",)
    with pytest.raises(UnknownProcessor, match=f"'{name}' is installed but cannot be used"):
        registry.get(name)


def test_importing_the_processors_is_cheap() -> None:
    """Every run of every pipeline imports them, whatever it does."""
    heavy = "av,numpy,faster_whisper,ctranslate2,onnxruntime,dagster,redis,pytest"
    code = (
        "import sys; from vcon_platform.processors.registry import load_processors; "
        "[load_processors().instance(name) for name in load_processors().names]; "
        f"print([m for m in {heavy!r}.split(',') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_list_shows_every_processor() -> None:
    shown = CliRunner().invoke(app, ["list"])
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in load_processors().names)


def test_show_names_every_option_with_its_default() -> None:
    shown = CliRunner().invoke(app, ["show", "recall_finder", "--json"])
    options = {option["name"]: option for option in json.loads(shown.stdout)["options"]}
    assert options["min_count"]["default"] == 1
    assert options["words"]["type"] == "list of string"
    assert "min_count" in CliRunner().invoke(app, ["show", "recall_finder"]).stdout


def test_show_tells_effects_purpose_and_pool() -> None:
    shown = CliRunner().invoke(app, ["show", "deepgram"]).stdout
    assert "Effects: costs, network, changes, needs consent to transcription" in shown
    assert "Pool: deepgram" in shown


def test_json_says_which_options_every_processor_has_and_which_are_secret() -> None:
    about = json.loads(CliRunner().invoke(app, ["show", "deepgram", "--json"]).stdout)
    options = {option["name"]: option for option in about["options"]}
    assert (about["purpose"], about["pool"]) == ("transcription", "deepgram")
    assert [name for name, option in options.items() if option["common"]] == list(ProcessorOptions.model_fields)
    assert [name for name, option in options.items() if option["secret"]] == ["api_key"]


def test_what_is_shown_is_no_emoji() -> None:
    assert "'n:m:i'" in " ".join(CliRunner().invoke(app, ["show", "deepgram"], env={"COLUMNS": "300"}).stdout.split())


@pytest.mark.parametrize(
    ("annotation", "constraints", "words"),
    [
        (int, {"ge": 1, "le": 1_000_000}, "integer from 1 to 1,000,000"),
        (float | None, {"gt": 0}, "number above 0 or null"),
        (list[str], {}, "list of string"),
        (dict[str, int], {}, "object of integer"),
        (dict[str, Any], {}, "object"),
        (Inner, {}, "object {one, two}"),
        (Literal["a", "b"], {}, "'a' or 'b'"),
        (str | list[str], {}, "string or list of string"),
        (Any, {}, "any"),
    ],
)
def test_the_type_of_an_option_is_told_in_words(annotation: Any, constraints: dict[str, Any], words: str) -> None:
    model = create_model("Given", __base__=ProcessorOptions, odd=(annotation, Field(**constraints)))
    described = describe(type("Odd", (Shout,), {"options": model}))
    [option] = [option for option in described["options"] if not option["common"]]
    assert (option["type"], option["required"]) == (words, True)


def test_an_option_that_a_processor_gives_another_default_is_its_own() -> None:
    model = create_model("Given", __base__=ProcessorOptions, timeout=(float | None, Field(default=5, description="x")))
    described = describe(type("Odd", (Shout,), {"options": model}))
    assert [(each["name"], each["default"]) for each in described["options"] if not each["common"]] == [("timeout", 5)]


def test_show_of_an_unknown_name_fails_with_a_hint() -> None:
    shown = CliRunner().invoke(app, ["show", "recall_findr"])
    assert shown.exit_code == 2
    assert "did you mean 'recall_finder'" in shown.stderr


TestShoutStandard = processor_tests(Shout, example_io=lambda: io_of(document()))

"""Adapter settings files and the registry: refused by name, never half-obeyed."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from vcon_platform.adapters.base import Adapter, AdapterError
from vcon_platform.adapters.freeswitch import FreeSwitchAdapter
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings
from vcon_platform.adapters.registry import adapter_kinds, load_adapters
from vcon_platform.adapters.settings import AdapterSettingsError, read_settings

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "pipelines" / "adapters" / "freeswitch.yaml"


def read(text: str, environ: Mapping[str, str] | None = None) -> FreeSwitchSettings:
    models = {"freeswitch": FreeSwitchSettings}
    settings = read_settings("pbx.yaml", f"adapter: freeswitch\n{text}", models, Path("/data"), environ or {})
    assert isinstance(settings, FreeSwitchSettings)
    return settings


def test_the_shipped_file_says_what_the_demo_needs() -> None:
    adapters = load_adapters({"freeswitch.yaml": SHIPPED.read_text()}, Path("/data"), {})
    assert not adapters.broken
    settings = adapters.adapters["freeswitch"].settings
    assert isinstance(settings, FreeSwitchSettings)
    assert settings.queues == ("recall",)
    assert settings.records == Path("/data/freeswitch/spool/cdr")


def test_the_built_in_adapters_come_in_as_a_stranger_s_would() -> None:
    assert adapter_kinds()["freeswitch"] is FreeSwitchAdapter


def test_the_name_defaults_to_the_file_s() -> None:
    assert read("").name == "pbx"


def test_relative_folders_start_at_the_base_and_absolute_ones_stay() -> None:
    settings = read("records: in\nrecordings: /srv/rec")
    assert (settings.records, settings.recordings) == (Path("/data/in"), Path("/srv/rec"))
    assert settings.archive == Path("/data/freeswitch/archive")


def test_environment_references_are_resolved() -> None:
    assert read("records: env:SPOOL\nqueues: [env:QUEUE]", {"SPOOL": "/spool", "QUEUE": "q"}).queues == ("q",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recording_folder: x", r"pbx\.yaml: recording_folder: there is no such setting; did you mean 'recording"),
        ("zzzz: x", r"pbx\.yaml: zzzz: there is no such setting; known are adapter, "),
        ("records: env:NOWHERE", r"pbx\.yaml: records: the environment variable NOWHERE is not set"),
        ("settle_seconds: -1", r"pbx\.yaml: settle_seconds: "),
        ("default_region: Atlantis", r"pbx\.yaml: default_region: .*no region"),
        ("agent_numbers: '('", r"pbx\.yaml: agent_numbers: .*regular expression"),
        ("name: Not a name", r"pbx\.yaml: name: "),
        ("queues: {", r"pbx\.yaml: cannot be read as YAML"),
    ],
)
def test_a_wrong_setting_is_refused_with_file_place_and_cure(text: str, said: str) -> None:
    with pytest.raises(AdapterSettingsError, match=said):
        read(text)


@pytest.mark.parametrize("text", ["", "[]", "adapter: asterisk", "adapter: [x]", "1: 2"])
def test_a_file_that_names_no_known_adapter_is_refused(text: str) -> None:
    with pytest.raises(AdapterSettingsError, match=r"a\.yaml"):
        read_settings("a.yaml", text, {"freeswitch": FreeSwitchSettings}, Path("/data"), {})


def test_a_refusal_does_not_repeat_a_secret() -> None:
    with pytest.raises(AdapterSettingsError) as refused:
        read("settle_seconds: env:SECRET", {"SECRET": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_one_broken_file_takes_no_other_one_down() -> None:
    texts = {
        "a.yaml": "adapter: freeswitch",
        "b.yaml": "adapter: freeswitch\nnope: 1",
        "c.yaml": "adapter: freeswitch\nname: a",
        "d.yaml": "adapter: freeswitch\nenabled: false",
    }
    adapters = load_adapters(texts, Path("/data"), {})
    assert set(adapters.adapters) == {"a"}
    assert set(adapters.broken) == {"b.yaml", "c.yaml"}
    assert all(isinstance(error, AdapterError) for error in adapters.broken.values())


def test_every_setting_of_every_adapter_explains_itself() -> None:
    for kind in adapter_kinds().values():
        assert issubclass(kind, Adapter)
        assert kind.title
        assert kind.description
        for name, field in kind.settings_model.model_fields.items():
            assert field.title, name
            assert field.description, name


def test_the_guide_names_every_setting_and_no_other() -> None:
    guide = (ROOT / "docs" / "adapters" / "freeswitch.md").read_text()
    table = guide.partition("## Settings")[2].partition("##")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(FreeSwitchSettings.model_fields)

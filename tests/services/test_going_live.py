"""A definition is live when Dagster has loaded its version: nothing less is taken for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support import free_port
from vcon_platform.services import going_live
from vcon_platform.services.dagster_client import DagsterClient, DagsterRefused, DagsterSilent
from vcon_platform.services.going_live import go_live, loaded_versions
from vcon_platform.settings import Settings


class Dagster(DagsterClient):
    """Has loaded ``before`` until it is reloaded, ``after`` then."""

    def __init__(self, before: Mapping[str, str], after: Mapping[str, str], error: str | None = None) -> None:
        super().__init__("http://127.0.0.1:1")
        self.loaded, self.after, self.error = dict(before), dict(after), error

    def location_error(self) -> str | None:
        return None

    def reload_location(self) -> str | None:
        self.loaded = self.after
        return self.error

    def pipeline_versions(self) -> dict[str, str]:
        return self.loaded


def _there(monkeypatch: pytest.MonkeyPatch, dagster: Dagster) -> None:
    monkeypatch.setattr(going_live, "dagster_client", lambda *_, **__: dagster)


def test_the_version_that_was_loaded_is_what_counts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _there(monkeypatch, Dagster({"notes": "v1"}, {"notes": "v2"}))
    assert go_live(settings, {"notes": "v2"}, wait=0.1).state == "live"


def test_a_reload_that_changed_nothing_is_not_live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _there(monkeypatch, Dagster({"notes": "v1"}, {"notes": "v1"}))
    assert go_live(settings, {"notes": "v2"}, wait=0.01).state == "loading"


def test_what_dagster_says_of_broken_definitions_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _there(monkeypatch, Dagster({}, {}, error="SyntaxError: in a plug-in"))
    live = go_live(settings, {"notes": "v2"}, wait=0.01)
    assert (live.state, "in a plug-in" in live.message) == ("refused", True)


@pytest.mark.parametrize(("after", "state"), [("v1", "loading"), ("v2", "live")])
def test_a_dagster_that_takes_longer_to_load_has_refused_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, after: str, state: str
) -> None:
    class Slow(Dagster):
        def reload_location(self) -> str | None:
            super().reload_location()
            raise DagsterSilent("ReadTimeout")

    _there(monkeypatch, Slow({"notes": "v1"}, {"notes": after}))
    assert go_live(settings, {"notes": "v2"}, wait=0.01).state == state


def test_a_deleted_pipeline_is_gone_only_when_dagster_has_it_no_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _there(monkeypatch, Dagster({"notes": "v1"}, {}))
    live = go_live(settings, {"notes": None}, wait=0.1)
    assert (live.state, "no more" in live.message) == ("live", True)


def test_without_dagster_nothing_is_known(settings: Settings) -> None:
    nobody = settings.model_copy(update={"webserver_port": free_port()})
    assert (loaded_versions(nobody), go_live(nobody, {}, wait=1).state) == (None, "dagster_down")


def test_every_question_is_one_that_this_dagster_understands(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster_graphql.schema import create_schema
    from graphql import parse, validate

    asked: list[str] = []

    def query(self: DagsterClient, text: str, **_: object) -> None:
        asked.append(text)
        raise DagsterRefused

    monkeypatch.setattr(DagsterClient, "query", query)
    client = DagsterClient("http://127.0.0.1:1")
    for question in (client.reload_location, client.location_error, client.pipeline_versions):
        with pytest.raises(DagsterRefused):
            question()
    schema = create_schema().graphql_schema
    assert [validate(schema, parse(text)) for text in asked] == [[], [], []]

"""Definitions in Redis: versions, conflicts, outside software, and a Redis that is away or lost everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from redis import Redis

from tests.pipelines.support import REGISTRY
from tests.support import free_port
from vcon_platform.pipelines.current import CurrentCatalogue, PipelineTexts, load_texts
from vcon_platform.pipelines.definition import DefinitionError, hash_of
from vcon_platform.pipelines.stored import DefinitionConflict, NotStored, StoredDefinitions
from vcon_platform.settings import Settings
from vcon_platform.store import keys


def _raw(mark: str = "seen", **options: Any) -> dict[str, Any]:
    return {
        "pipeline_options": options,
        "processors": [{"processor_name": "mark", "processor_options": {"mark": mark}}],
    }


@pytest.fixture
def stored(redis_client: Redis) -> StoredDefinitions:
    return StoredDefinitions(redis_client)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    return tmp_path / "pipelines"


@pytest.fixture
def here(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"pipelines_dir_setting": folder})


def _load(here: Settings) -> PipelineTexts:
    return load_texts(here, REGISTRY)


# --- versions --------------------------------------------------------------------------------------------------


def test_what_is_stored_is_as_py_vcon_servers_readers_expect_it(stored: StoredDefinitions, redis_client: Redis) -> None:
    stored.put("notes", {"processors": [{"processor_name": "mark"}]}, REGISTRY, "ada")
    assert redis_client.smembers("pipelines") == {b"notes"}
    assert redis_client.json().get("pipeline:notes") == {
        "pipeline_options": {},
        "processors": [{"processor_name": "mark", "processor_options": {}}],
    }


def test_every_write_is_a_version_with_number_author_and_time(stored: StoredDefinitions) -> None:
    stored.put("notes", _raw("one"), REGISTRY, "ada")
    stored.put("notes", _raw("two"), REGISTRY, "bob")
    first, second = stored.versions("notes")
    assert [(each.number, each.by, each.source) for each in (first, second)] == [
        (1, "ada", "stored"),
        (2, "bob", "stored"),
    ]
    assert (second.version, second.at >= first.at) == (hash_of(_raw("two")), True)


def test_the_same_again_makes_no_version(stored: StoredDefinitions) -> None:
    for _ in range(2):
        _, version = stored.put("notes", _raw(), REGISTRY, "ada")
    assert (version.number, len(stored.versions("notes"))) == (1, 1)


def test_what_cannot_run_is_not_stored(stored: StoredDefinitions) -> None:
    with pytest.raises(DefinitionError, match="/processors/0/processor_options/marc"):
        stored.put(
            "notes", {"processors": [{"processor_name": "mark", "processor_options": {"marc": 1}}]}, REGISTRY, ""
        )
    assert stored.names() == []


def test_the_second_of_two_editors_gets_a_conflict_and_is_told_what_to_do(stored: StoredDefinitions) -> None:
    stored.put("notes", _raw("base"), REGISTRY, "ada")
    stored.put("notes", _raw("ada's"), REGISTRY, "ada", base=1)
    with pytest.raises(DefinitionConflict, match="pipelines diff notes 1 2"):
        stored.put("notes", _raw("bob's"), REGISTRY, "bob", base=1)
    assert stored.get("notes") == _raw("ada's")


def test_a_difference_shows_what_changed_and_nothing_else(stored: StoredDefinitions) -> None:
    stored.put("notes", _raw("one", timeout=5), REGISTRY, "ada")
    stored.put("notes", {"processors": _raw("two")["processors"], "pipeline_options": {"timeout": 5}}, REGISTRY, "ada")
    changed = [line for line in stored.diff("notes", 1, 2).splitlines() if line[0] in "+-" and line[1] not in "+-"]
    assert [line[1:].strip() for line in changed] == ["mark: one", "mark: two"]


def test_a_roll_back_is_a_new_version_with_the_old_content(stored: StoredDefinitions) -> None:
    stored.put("notes", _raw("one"), REGISTRY, "ada")
    stored.put("notes", _raw("two"), REGISTRY, "ada")
    _, version = stored.roll_back("notes", 1, REGISTRY, "bob")
    assert (version.number, version.note, stored.get("notes")) == (3, "as version 1", _raw("one"))


def test_a_deleted_definition_keeps_its_versions_and_comes_back_by_a_roll_back(stored: StoredDefinitions) -> None:
    stored.put("notes", _raw(), REGISTRY, "ada")
    stored.delete("notes", "bob")
    assert (stored.names(), [each.source for each in stored.versions("notes")]) == ([], ["stored", "deleted"])
    stored.roll_back("notes", 1, REGISTRY, "bob")
    assert stored.get("notes") == _raw()


def test_what_is_not_there_cannot_be_deleted_nor_rolled_back(stored: StoredDefinitions) -> None:
    with pytest.raises(NotStored):
        stored.delete("notes", "ada")
    with pytest.raises(NotStored, match="no version 7"):
        stored.roll_back("notes", 7, REGISTRY, "ada")


def test_a_fraction_that_redis_rounds_keeps_its_version(stored: StoredDefinitions) -> None:
    definition, _ = stored.put("notes", _raw(timeout=0.40000000000000213), REGISTRY, "ada")
    read = PipelineTexts(stored=stored.snapshot().definitions).check(REGISTRY)
    assert read.pipelines["notes"].version == definition.version


# --- what a code server loads ----------------------------------------------------------------------------------


def test_a_file_that_loads_is_written_down_as_a_version_once(
    here: Settings, folder: Path, stored: StoredDefinitions
) -> None:
    (folder / "recall.yaml").write_text("processors: []")
    _load(here)
    _load(here)
    (folder / "recall.yaml").write_text("processors: [{processor_name: mark}]")
    _load(here)
    assert [(each.number, each.source) for each in stored.versions("recall")] == [(1, "file"), (2, "file")]


def test_a_broken_file_runs_on_as_the_version_that_was_in_use(here: Settings, folder: Path) -> None:
    (folder / "recall.yaml").write_text("processors: [{processor_name: mark}]")
    before = _load(here).check(REGISTRY).pipelines["recall"]
    (folder / "recall.yaml").write_text("processors: [{processor_name: mrak}]")
    found = _load(here).check(REGISTRY)
    assert (found.pipelines["recall"].version, set(found.fallen_back)) == (before.version, {"recall"})
    assert "did you mean 'mark'" in found.broken["recall"]
    assert "runs on" in found.broken["recall"]


def test_an_older_version_than_the_last_is_not_fallen_back_to(here: Settings, stored: StoredDefinitions) -> None:
    stored.put("notes", {"processors": []}, REGISTRY, "ada")
    _load(here)
    stored.put("notes", _raw(), REGISTRY, "ada")
    _load(here)
    without_mark = type(REGISTRY)({"judge": REGISTRY.classes["judge"]})
    found = load_texts(here, without_mark).check(without_mark)
    assert (list(found.pipelines), list(found.broken)) == ([], ["notes"])


def test_what_other_software_stores_is_taken_up_as_a_version(
    here: Settings, stored: StoredDefinitions, redis_client: Redis
) -> None:
    redis_client.sadd("pipelines", "notes")
    redis_client.json().set("pipeline:notes", "$", _raw("theirs"))
    assert list(_load(here).check(REGISTRY).pipelines) == ["notes"]
    assert [(each.by, each.definition) for each in stored.versions("notes")] == [("other software", _raw("theirs"))]


def test_a_key_that_holds_something_else_spoils_no_other(
    here: Settings, stored: StoredDefinitions, redis_client: Redis
) -> None:
    stored.put("good", _raw(), REGISTRY, "ada")
    redis_client.sadd("pipelines", "bad", "gone", "a-b")
    redis_client.set("pipeline:bad", "x")
    redis_client.json().set("pipeline:a-b", "$", _raw())
    found = _load(here).check(REGISTRY)
    assert (list(found.pipelines), sorted(found.broken)) == (["good"], ["a-b", "bad", "gone"])
    assert "call it 'a_b'" in found.broken["a-b"]


def test_a_file_wins_over_a_stored_definition_and_that_is_told(
    here: Settings, folder: Path, stored: StoredDefinitions
) -> None:
    stored.put("notes", _raw(), REGISTRY, "ada")
    (folder / "notes.yaml").write_text("processors: []")
    found = _load(here).check(REGISTRY)
    assert (found.pipelines["notes"].source, found.pipelines["notes"].steps) == ("file", ())
    assert "the file wins" in found.warnings["notes"][0]


def test_while_redis_is_away_the_local_copy_stands_in(here: Settings, stored: StoredDefinitions) -> None:
    stored.put("notes", _raw(), REGISTRY, "ada")
    _load(here)
    nobody = SecretStr(f"redis://127.0.0.1:{free_port()}")
    away = here.model_copy(update={"redis_url_setting": nobody})
    assert list(_load(away).check(REGISTRY).pipelines) == ["notes"]


def test_a_redis_that_lost_everything_gets_its_definitions_back(
    here: Settings, stored: StoredDefinitions, redis_client: Redis
) -> None:
    stored.put("notes", _raw(), REGISTRY, "ada")
    _load(here)
    redis_client.flushall()
    assert list(_load(here).check(REGISTRY).pipelines) == ["notes"]
    assert (stored.names(), stored.versions("notes")[0].note) == (["notes"], "put back from the local copy")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"definitions": 3}', b"\xff"])
def test_a_local_copy_that_is_spoilt_is_as_none(here: Settings, content: bytes) -> None:
    here.data_dir.mkdir(parents=True, exist_ok=True)
    (here.data_dir / "stored_pipelines.json").write_bytes(content)
    assert _load(here).stored == {}


# --- the catalogue as it is now --------------------------------------------------------------------------------


def test_the_current_catalogue_sees_files_and_stored_definitions_change(
    here: Settings, folder: Path, redis_client: Redis, stored: StoredDefinitions
) -> None:
    current = CurrentCatalogue(here, redis_client, REGISTRY)
    assert list(current.get().pipelines) == []
    (folder / "recall.yaml").write_text("processors: []")
    stored.put("notes", _raw(success_queue="done-notes"), REGISTRY, "ada")
    assert list(current.refresh().pipelines) == ["notes", "recall"]
    assert current.get().queues() == {"notes", "recall", "done-notes"}


def test_the_current_catalogue_is_not_made_anew_while_nothing_changes(here: Settings, redis_client: Redis) -> None:
    current = CurrentCatalogue(here, redis_client, REGISTRY)
    assert current.get() is current.get()


def test_the_keys_are_those_of_the_contract() -> None:
    assert (keys.PIPELINES, keys.pipeline("x")) == ("pipelines", "pipeline:x")


def test_versions_are_json_that_outside_tools_can_read(stored: StoredDefinitions, redis_client: Redis) -> None:
    stored.put("notes", _raw(), REGISTRY, "ada")
    [entry] = [orjson.loads(raw) for raw in redis_client.lrange("pipeline:notes:versions", 0, -1)]
    assert entry["definition"] == _raw()

"""A pipeline as a Dagster job: ops named after processors, red when a job failed, re-executable without repeats."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dagster as dg
import orjson
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from redis import Redis

from tests.orchestration.support import FIND_RECALLS, chats, definitions, run
from tests.support import document_store
from vcon_platform.orchestration.options import config_model, options_with
from vcon_platform.pipelines import rates
from vcon_platform.pipelines.definition import read_definition
from vcon_platform.processors.recall_finder import RecallFinder
from vcon_platform.processors.registry import load_processors
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit
from vcon_platform.store.effects import new_effect
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid

WRONG_PROJECTION = FIND_RECALLS.replace("recalls}", "nowhere}")


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = result.asset_materializations_for_node("recall__steps")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_job_has_one_op_per_processor_between_lease_and_settle(deployed: Settings) -> None:
    job = definitions(deployed).resolve_job_def("recall")
    graph = next(iter(job.graph.node_defs))
    assert isinstance(graph, dg.GraphDefinition)
    assert [node.name for node in graph.nodes_in_topological_order] == [
        "lease",
        "recall_finder",
        "projection",
        "settle",
    ]


def test_a_run_tells_what_became_of_its_batch(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "Is there a recall?", "What time is it?")
    result = run(definitions(deployed), instance)
    assert result.success
    told = _metadata(result)
    assert (told["conversations"], told["done"], told["filtered"]) == (2, 1, 1)
    assert told["filtered_by_recall_finder"] == 1
    assert Queues(redis_client).depth("recall") == 0


def test_a_run_with_a_failed_conversation_is_red_names_it_and_keeps_its_materialization(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    bad, _ = chats(deployed, "a recall", "nothing")
    result = run(definitions(deployed, recall=WRONG_PROJECTION), instance)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert bad in str(failure.step_failure_data.user_failure_data.description)
    record = instance.get_latest_materialization_event(dg.AssetKey(["pipelines", "recall"]))
    assert record is not None


def test_re_executing_a_red_run_takes_up_only_what_failed(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    bad, good = chats(deployed, "a recall", "nothing")
    red = run(definitions(deployed, recall=WRONG_PROJECTION), instance)
    [other] = chats(deployed, "another recall")  # waits in the queue and is none of the re-execution's business
    tags = {"dagster/parent_run_id": red.run_id, "dagster/root_run_id": red.run_id}
    result = run(definitions(deployed), instance, tags=tags)
    assert result.success
    assert _metadata(result)["conversations"] == 1
    assert Queues(redis_client).dead("recall") == []
    revisions = {
        uuid: vcon.revision
        for uuid, vcon in document_store(redis_client, deployed.objects_dir).read([bad, good, other]).items()
    }
    assert revisions == {bad: 3, good: 2, other: 1}


def test_an_interrupted_run_hands_its_jobs_back(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = chats(deployed, "one", "two")

    def interrupt(*_: object) -> None:
        raise DagsterExecutionInterruptedError  # what "Terminate" in the UI becomes in the op's thread

    monkeypatch.setattr(RecallFinder, "process", interrupt)
    with pytest.raises(DagsterExecutionInterruptedError):
        definitions(deployed).resolve_job_def("recall").execute_in_process(instance=instance)
    waiting = [orjson.loads(job)["vcon_uuid"][0] for job in redis_client.lrange(keys.queue("recall"), 0, -1)]
    assert waiting == uuids
    assert redis_client.keys("batch:*") == []


def test_options_can_be_overridden_for_one_run(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "a banana")
    words = {"ops": {"recall_finder": {"config": {"words": ["banana"]}}}}
    result = run(definitions(deployed), instance, run_config={"ops": {"recall__steps": words}})
    assert _metadata(result)["done"] == 1


def test_an_option_the_processor_refuses_fails_the_run_before_anything_is_done() -> None:
    options = RecallFinder.options()
    config = config_model("probe", options)
    with pytest.raises(ValueError, match="min_count"):
        options_with(options, config(min_count=0))


def test_a_broken_definition_shows_its_fault_and_the_others_load(deployed: Settings) -> None:
    defs = definitions(deployed, recall=FIND_RECALLS, wrong="processors: [{processor_name: trnscribe}]")
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert "pipelines/recall" in specs
    assert "did you mean 'transcribe'" in str(specs["broken/pipelines/wrong"].description)


def test_a_run_without_jobs_is_green(deployed: Settings, instance: dg.DagsterInstance) -> None:
    result = run(definitions(deployed), instance)
    assert result.success
    assert _metadata(result)["conversations"] == 0


def test_a_commit_made_during_a_run_is_merged(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    [uuid] = chats(deployed, "a recall")
    store, finder = document_store(redis_client, deployed.objects_dir), RecallFinder.process

    def while_somebody_writes(self: RecallFinder, io: object, options: object) -> object:
        other = store.read_one(uuid)
        other.append("parties", {"name": "Supervisor"})
        list(store.commit([Commit(other)]))
        return finder(self, io, options)  # type: ignore[arg-type]

    monkeypatch.setattr(RecallFinder, "process", while_somebody_writes)
    assert run(definitions(deployed), instance).success
    assert [party["name"] for party in store.read_one(uuid).parties] == ["Ann", "Cy", "Supervisor"]


def test_a_run_started_on_the_assets_page_carries_what_every_run_of_the_pipeline_does(
    deployed: Settings, instance: dg.DagsterInstance
) -> None:
    text = FIND_RECALLS + "pipeline_options: {run_timeout: 90}\n"
    job = definitions(deployed, recall=text).resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["pipelines", "recall"])
    result = job.execute_in_process(instance=instance, asset_selection=[key])
    made = instance.get_run_by_id(result.run_id)
    assert made is not None
    assert made.tags["vcon/pipeline"] == "recall"
    assert made.tags["vcon/lane"] == "batch"
    assert made.tags["dagster/max_runtime"] == "90"


def test_a_run_for_urgent_jobs_takes_nothing_else(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    uuid, _ = chats(deployed, "a recall", "another recall")
    queues = Queues(redis_client)
    queues.push("recall", [new_job(uuid, priority="urgent")])
    only = {"ops": {"lease": {"config": {"urgent_only": True}}}}
    result = run(definitions(deployed), instance, run_config={"ops": {"recall__steps": only}})
    assert _metadata(result)["conversations"] == 1
    assert queues.depth("recall") == 2


def test_re_executing_a_red_run_takes_what_failed_back_out_of_the_failure_queue(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "a recall", "nothing")
    option = "pipeline_options: {failure_queue: broken_calls}\n"
    red = run(definitions(deployed, recall=WRONG_PROJECTION + option), instance)
    assert Queues(redis_client).depth("broken_calls") == 1
    tags = {"dagster/parent_run_id": red.run_id, "dagster/root_run_id": red.run_id}
    result = run(definitions(deployed, recall=FIND_RECALLS + option), instance, tags=tags)
    assert _metadata(result)["done"] == 1
    assert Queues(redis_client).depth("broken_calls") == 0


def test_the_assets_page_says_what_runs_and_where_it_is_described(deployed: Settings) -> None:
    text = FIND_RECALLS + "pipeline_options: {weight: 4}\n"
    specs = {spec.key.to_user_string(): spec for spec in definitions(deployed, recall=text).resolve_all_asset_specs()}
    metadata = specs["pipelines/recall"].metadata
    assert metadata["source"] == "file"
    assert metadata["lane"] == "batch"
    assert metadata["options"].value == {"weight": 4}
    assert "docs/processor-reference.md#recall_finder" in metadata["docs"].value


def test_every_processor_of_this_installation_can_be_an_op(deployed: Settings) -> None:
    required: dict[str, dict[str, Any]] = {
        "projection": {"projection": "recalls"},
        "queue_job": {"queue_name": "next"},
        "keyword_filter": {"phrases": ["refund"]},
        "tag": {"tags": ["vip"]},
        "check_and_tag": {"tag_name": "a", "tag_value": "b", "evaluation_question": "c?"},
        "consent_gate": {"purposes": ["analysis"]},
        "text_pii_redactor": {"redaction_type_label": "vcon-redacted"},
    }
    steps = [{"processor_name": name, "processor_options": required.get(name, {})} for name in load_processors().names]
    job = definitions(deployed, recall=orjson.dumps({"processors": steps}).decode()).resolve_job_def("recall")
    for step in read_definition("recall", {"processors": steps}, load_processors()).steps:
        config = config_model(f"{step.name}_probe", step.options)
        assert options_with(step.options, config()) == step.options
    assert len(next(iter(job.graph.node_defs)).nodes) == len(steps) + 2  # type: ignore[attr-defined]


def test_definitions_are_built_the_same_each_time(deployed: Settings) -> None:
    ids = {
        definitions(deployed, recall=FIND_RECALLS, sales=FIND_RECALLS).resolve_job_def(name).get_job_snapshot_id()
        for name in ("recall", "recall")
    }
    assert len(ids) == 1


def test_the_rate_of_a_run_is_kept_for_the_dispatcher(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "TELLING_SECONDS", 0.0)
    chats(deployed, "a recall")
    run(definitions(deployed), instance)
    assert redis_client.hexists(keys.RATES, "recall")


def test_effects_that_nobody_can_carry_out_are_put_aside_by_deliver_effects(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    redis_client.rpush(keys.EFFECTS, new_effect(new_uuid(), "recall", "post", "no_such_processor", "1", {"to": "x"}))
    result = run(definitions(deployed), instance, "deliver_effects")
    [output] = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    assert output.step_output_data.metadata["refused"].value == 1
    assert redis_client.llen(keys.EFFECTS) == 0


def test_a_pipeline_of_the_stream_lane_has_a_job_that_stands_by(deployed: Settings) -> None:
    defs = definitions(deployed, recall=FIND_RECALLS + "pipeline_options: {lane: stream}\n")
    assert defs.resolve_job_def("recall__stream").tags["vcon/lane"] == "stream"
    assert defs.resolve_job_def("recall").tags["vcon/lane"] == "batch"


def test_loading_the_definitions_does_not_load_what_only_runs_need() -> None:
    """Each run pays for it: openai, deepgram, pandas and the like are imported where they are used."""
    heavy = "openai deepgram pandas av faster_whisper httpx obstore pebble jq ctranslate2 aiosmtplib"
    code = (
        "import sys, vcon_platform.definitions; from vcon_platform.processors.registry import load_processors; "
        f"load_processors(); print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"

"""A pipeline as a Dagster job: ops named after processors, red when a job failed, re-executable without repeats."""

from __future__ import annotations

import dagster as dg
import orjson
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from redis import Redis

from tests.orchestration.support import FIND_RECALLS, chats, definitions, run
from tests.support import document_store
from vcon_platform.orchestration.options import config_model, options_with
from vcon_platform.processors.recall_finder import RecallFinder
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit
from vcon_platform.store.leases import Queues

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

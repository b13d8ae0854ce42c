"""A request that comes again with its key is carried out once, whoever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from tests.api.conftest import Shared
from vcon_platform.store import keys
from vcon_platform.store.once import OnceStore
from vcon_platform.vcon.uuids import new_uuid

Make = Callable[..., dict[str, Any]]


def headers() -> dict[str, str]:
    return {"Idempotency-Key": new_uuid()}


def told(answer: Any) -> tuple[int, bytes, str | None]:
    return answer.status_code, answer.content, answer.headers.get("idempotent-replayed")


def appending(shared: Shared, document: Make, key: dict[str, str], uuid: str = "") -> tuple[str, Any]:
    """A run that appends an analysis to a stored vCon, and queues it."""
    uuid = uuid or str(shared.admin.post("/v1/vcons", json=document()).json()["uuid"])
    options = {"queue_name": "recall"}
    return uuid, shared.admin.post(f"/v1/processors/queue_job/run/{uuid}?save=true", json=options, headers=key)


def claims(shared: Shared) -> list[str]:
    return [key.decode() for key in cast("list[bytes]", shared.redis.keys("once:*")) if not key.endswith(b":marks")]


def test_the_first_answer_is_given_again_and_nothing_is_done_twice(shared: Shared, document: Make) -> None:
    key, vcon = headers(), document()
    first = shared.admin.post("/v1/vcons?queue=recall", json=vcon, headers=key)
    shared.admin.post("/v1/vcons", json={**vcon, "subject": "since then"})
    again = shared.admin.post("/v1/vcons?queue=recall", json=vcon, headers=key)
    assert told(first) == (201, first.content, None)
    assert told(again) == (201, first.content, "true")
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_a_run_is_done_once(shared: Shared, document: Make) -> None:
    key = headers()
    before = shared.redis.llen(keys.queue("recall"))
    uuid, first = appending(shared, document, key)
    _, again = appending(shared, document, key, uuid)
    assert (first.status_code, told(again)) == (200, (200, first.content, "true"))
    assert shared.redis.llen(keys.queue("recall")) == before + 1


def test_the_key_of_another_request_is_refused(shared: Shared, document: Make) -> None:
    key = headers()
    vcon = document()
    shared.admin.post("/v1/vcons", json=vcon, headers=key)
    for path, body in (("/v1/vcons", {**vcon, "subject": "x"}), ("/v1/vcons?strict=true", vcon)):
        answer = shared.admin.post(path, json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_keys_are_each_callers_own(shared: Shared, document: Make) -> None:
    key = headers()
    one, other = shared.client("ingest"), shared.client("ingest")
    assert [each.post("/v1/vcons", json=document(), headers=key).status_code for each in (one, other)] == [201, 201]


def test_who_comes_while_it_is_carried_out_is_told_so(
    shared: Shared, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, vcon = headers(), document()
    with monkeypatch.context() as patch:
        patch.setattr(OnceStore, "_ended", lambda *_: True)  # as if it were still at it
        shared.admin.post("/v1/vcons", json=vcon, headers=key)
    answer = shared.admin.post("/v1/vcons", json=vcon, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert answer.headers["retry-after"] == "5"


def test_after_a_death_the_next_one_goes_on_and_doubles_nothing(
    shared: Shared, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed after its request came true and before the answer was kept."""
    key, run_key, vcon = headers(), headers(), document()
    before, known = shared.redis.llen(keys.queue("recall")), set(claims(shared))
    with monkeypatch.context() as patch:
        patch.setattr(OnceStore, "_ended", lambda *_: True)
        shared.admin.post("/v1/vcons?queue=recall", json=vcon, headers={**key, "If-None-Match": "*"})
        uuid, ran = appending(shared, document, run_key)
    for name in set(claims(shared)) - known:
        shared.redis.hset(name, "ends", 0)  # its lease is over
    posted = shared.admin.post("/v1/vcons?queue=recall", json=vcon, headers={**key, "If-None-Match": "*"})
    assert (posted.status_code, posted.json()["outcome"], posted.json()["revision"]) == (200, "known", 1)
    _, again = appending(shared, document, run_key, uuid)
    assert (again.status_code, again.json()["answer_lost"]) == (200, True)
    assert again.json()["run"]["id"] == ran.json()["run"]["id"]
    assert shared.redis.llen(keys.queue("recall")) == before + 2
    assert told(appending(shared, document, run_key, uuid)[1]) == (200, again.content, "true")


def test_what_failed_for_a_passing_reason_may_be_tried_again(
    shared: Shared, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = headers()
    uuid = shared.admin.post("/v1/vcons", json=document()).json()["uuid"]
    path = f"/v1/pipelines/none_yet/run/{uuid}"
    from vcon_platform.api.pipeline_runs import Runs
    from vcon_platform.api.problems import Problem

    async def busy(*_: Any) -> None:
        raise Problem(503, "busy", "Come again.")

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "plainly", busy)
        assert shared.admin.post(path, headers=key).status_code == 503
    kept = shared.admin.post(path, headers=key)
    assert (kept.status_code, told(shared.admin.post(path, headers=key))) == (404, (404, kept.content, "true"))


@pytest.mark.parametrize("key", ["", "x" * 300, "two words"])
def test_a_key_that_is_none_is_told(shared: Shared, document: Make, key: str) -> None:
    answer = shared.admin.post("/v1/vcons", json=document(), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_idempotency_key")


@pytest.mark.parametrize("path", ["/v1/bulk/vcons", "/v1/simulate"])
def test_where_it_would_mean_nothing_it_is_refused(shared: Shared, path: str) -> None:
    answer = shared.admin.post(path, json={}, headers=headers())
    assert (answer.status_code, answer.json()["code"]) == (422, "no_idempotency_key")


def test_a_large_body_passes_through_the_disk(shared: Shared, document: Make) -> None:
    key, raw = headers(), orjson.dumps(document(subject="x" * 3_000_000))
    first = shared.admin.post("/v1/vcons", content=raw, headers=key)
    assert first.status_code == 201
    assert told(shared.admin.post("/v1/vcons", content=raw, headers=key)) == (201, first.content, "true")

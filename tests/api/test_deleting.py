"""A vCon that is deleted is gone from all three APIs; the ledger says so, and what worked on it brings nothing back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Shared
from tests.pipelines.engine_support import piped, run
from tests.pipelines.support import engine
from vcon_platform.access.caller import Visible
from vcon_platform.store.check import Difference, check
from vcon_platform.store.opening import open_store
from vcon_platform.vcon.uuids import new_uuid

Make = Callable[..., dict[str, Any]]
PATHS = ("/v1/vcons/{}", "/vcon/{}", "/api/vcon/{}")


def post(shared: Shared, vcon: dict[str, Any], query: str = "") -> str:
    shared.admin.post(f"/v1/vcons{query}", json=vcon).raise_for_status()
    return str(vcon["uuid"])


@pytest.mark.parametrize("path", PATHS)
def test_what_is_deleted_by_one_api_is_gone_from_all(shared: Shared, document: Make, path: str) -> None:
    uuid = post(shared, document())
    assert shared.admin.delete(path.format(uuid)).status_code == 204
    assert [shared.admin.get(each.format(uuid)).status_code for each in PATHS] == [404] * 3
    assert uuid not in shared.admin.get("/api/vcon").json()
    store = open_store(shared.settings)
    found = [each for each in check(store.client, store.archive, store.media) if isinstance(each, Difference)]
    assert [each for each in found if each.uuid == uuid] == []


@pytest.mark.parametrize(("path", "status"), zip(PATHS, (404, 204, 204), strict=True))
def test_a_second_time_is_404_but_for_the_peers_clients(shared: Shared, document: Make, path: str, status: int) -> None:
    for uuid in (post(shared, document()), new_uuid()):
        shared.admin.delete(path.format(uuid))
        assert shared.admin.delete(path.format(uuid)).status_code == status


def test_the_ledger_tells_who_deleted_it_and_nothing_of_it(shared: Shared, document: Make) -> None:
    uuid = post(shared, document())
    shared.admin.delete(f"/v1/vcons/{uuid}")
    post(shared, document(uuid=uuid, subject="anew"))
    events = shared.admin.get(f"/v1/vcons/{uuid}/lineage").json()["events"]
    told = [(each["event"], each["revision"], each["detail"].get("by")) for each in events]
    assert told == [("created", 1, "admin"), ("deleted", 2, "admin"), ("created", 3, "admin")]
    assert events[1]["detail"] == {"by": "admin"}


def test_what_is_posted_again_is_new_in_each_api(shared: Shared, document: Make) -> None:
    vcon = document(subject="the same")
    for path in ("/v1/vcons", "/vcon", "/api/vcon"):
        answer = shared.admin.post(path, json=vcon)
        assert answer.status_code in (201, 202, 204)
        assert shared.admin.get(f"/v1/vcons/{vcon['uuid']}").json()["subject"] == "the same"
        shared.admin.delete(f"/v1/vcons/{vcon['uuid']}")


@pytest.mark.parametrize(("path", "status"), zip(PATHS, (404, 204, 204), strict=True))
def test_what_is_hidden_from_a_key_is_not_deleted_by_it(shared: Shared, document: Make, path: str, status: int) -> None:
    uuid = post(shared, document())
    partner = shared.client("erase", visible=Visible((), ("tenant:acme",)))
    assert partner.delete(path.format(uuid)).status_code == status
    assert shared.admin.get(f"/v1/vcons/{uuid}").status_code == 200


def test_what_is_no_uuid_is_told_or_passed_over(shared: Shared) -> None:
    assert [shared.admin.delete(path.format("x")).status_code for path in PATHS] == [422, 204, 422]


def test_a_job_of_a_vcon_that_was_deleted_ends_and_the_ledger_tells(shared: Shared, document: Make) -> None:
    uuid = post(shared, document(), "?queue=recall")
    shared.admin.delete(f"/v1/vcons/{uuid}")
    work = engine(shared.redis, shared.settings.data_dir / "objects")
    settled = run(work, piped("mark"))
    assert settled.counts == {"filtered": 1}
    assert work.queues.dead("recall") == []
    assert shared.admin.get(f"/v1/vcons/{uuid}").status_code == 404
    post(shared, document(uuid=uuid))  # else nobody may read its story
    events = shared.admin.get(f"/v1/vcons/{uuid}/lineage").json()["events"]
    assert ("filtered", f"removed from the store: vCon {uuid}") in [
        (each["event"], each["detail"].get("reason")) for each in events
    ]

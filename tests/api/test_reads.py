"""The ledger tells which key read which conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.api.conftest import Shared
from tests.support import free_port
from vcon_platform.access.caller import Caller
from vcon_platform.api.reads import HOUR, Reads
from vcon_platform.store import keys
from vcon_platform.vcon.uuids import new_uuid

Make = Callable[..., dict[str, Any]]
KEY = Caller("k1", "somebody", frozenset({"read"}))


def readings(shared: Shared, uuid: str) -> list[str]:
    events = shared.admin.get(f"/v1/vcons/{uuid}/lineage").json()["events"]
    return sorted(f"{each['detail']['what']} by {each['detail']['by']}" for each in events if each["event"] == "read")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/v1/vcons/{}", "document"),
        ("/vcon/{}", "document"),
        ("/api/vcon/{}", "document"),
        ("/api/vcons?vcon_uuids={}", "document"),
        ("/vcon/{}/jq?jq_transform=.", "document"),
        ("/vcon/{}/jsonpath?path_string=$", "document"),
        ("/v1/vcons/{}/original", "original"),
        ("/v1/vcons/{}/turns", "turns"),
        ("/v1/vcons/{}/media/dialog/0", "media"),
        ("/v1/bulk/vcons", "export"),
    ],
)
def test_who_reads_is_told_once_an_hour(shared: Shared, document: Make, path: str, what: str) -> None:
    dialog = {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": 0, "mediatype": "text/plain", "body": "hi"}
    uuid = shared.admin.post("/v1/vcons", json=document(dialog=[{**dialog, "encoding": "none"}])).json()["uuid"]
    for _ in range(3):
        assert shared.admin.get(path.format(uuid)).status_code == 200
    assert readings(shared, uuid) == [f"{what} by admin"]


def test_who_is_told_only_that_nothing_changed_has_read_nothing(shared: Shared, document: Make) -> None:
    uuid = shared.admin.post("/v1/vcons", json=document()).json()["uuid"]
    shared.admin.get(f"/v1/vcons/{uuid}", headers={"If-None-Match": '"1"'})
    for path in ("/v1/vcons/{}/report", "/v1/vcons/{}/revisions"):
        shared.admin.get(path.format(uuid))
    assert readings(shared, uuid) == []


def test_an_hours_event_has_one_id_whoever_tells_it(shared: Shared) -> None:
    uuid, now = new_uuid(), 1_800_000_000.0
    shared.redis.delete(keys.OUTBOX)
    for at in (now, now + 10, now + HOUR):
        reads = Reads(lambda: shared.redis, clock=lambda at=at: at)  # type: ignore[misc]
        reads.note(KEY, uuid)
        reads.flush()
    entries: Any = shared.redis.xrange(keys.OUTBOX)
    ids = [fields[b"events"].split(b'"event_id":"')[1][:36] for _, fields in entries]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]


def test_what_redis_does_not_take_is_told_later(shared: Shared) -> None:
    clients = [Redis(port=free_port(), retry=Retry(NoBackoff(), 0)), shared.redis]
    reads = Reads(lambda: clients[0])
    shared.redis.delete(keys.OUTBOX)
    reads.note(KEY, new_uuid())
    reads.flush()
    del clients[0]
    reads.flush()
    reads.flush()
    assert shared.redis.xlen(keys.OUTBOX) == 1


def test_of_a_tokens_bearer_the_ledger_has_no_name() -> None:
    alias = Caller("oidc:ada@example.org", "ada@example.org", frozenset()).alias
    assert alias.startswith("oidc:")
    assert "ada" not in alias

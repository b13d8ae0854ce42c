"""A chat that somebody posts: through the API into its row, and back out as it came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.platform import PATIENCE, Platform
from tests.support import eventually
from vcon_platform.vcon.uuids import new_uuid

pytestmark = pytest.mark.e2e

_MESSAGE = {"type": "text", "mediatype": "text/plain", "encoding": "none"}
CHAT: dict[str, Any] = {
    "vcon": "0.4.0",
    "uuid": new_uuid(),
    "created_at": "2026-11-02T09:00:00Z",
    "subject": "A kettle from the shop",
    "parties": [{"name": "Grace", "mailto": "grace@example.org"}, {"name": "Agent Seven", "role": "agent"}],
    "dialog": [
        {
            **_MESSAGE,
            "start": "2026-11-02T09:00:00Z",
            "parties": [0, 1],
            "body": "Is there a recall of the zebrakettle?",
        },
        {**_MESSAGE, "start": "2026-11-02T09:00:30Z", "parties": [1, 0], "body": "Yes, send it back to us."},
    ],
}
POSTED = orjson.dumps(CHAT, option=orjson.OPT_INDENT_2) + b"\n"
UUID: str = CHAT["uuid"]


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[httpx.Client]:
    """The REST API, for who has its key."""
    key = platform.settings.secret_path("api_key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=platform.stack.api_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def landed(platform: Platform, api: httpx.Client) -> dict[str, str]:
    """The chat was posted and has its rows: uuid to verdict."""
    answer = api.post("/v1/vcons?queue=recall", content=POSTED, headers={"Content-Type": "application/vcon"})
    assert (answer.status_code, answer.json()["uuid"]) == (201, UUID), answer.text
    return platform.until_landed([UUID])


def test_a_chat_that_speaks_of_a_recall_becomes_a_row(platform: Platform, landed: dict[str, str]) -> None:
    assert landed == {UUID: "done"}
    [row] = platform.rows("recalls", [UUID])
    assert "recall of the zebrakettle" in row["transcript"]


def test_it_can_be_had_as_it_is_and_exactly_as_it_came(api: httpx.Client, landed: dict[str, str]) -> None:
    document = api.get(f"/v1/vcons/{UUID}").json()
    assert {name: document[name] for name in ("uuid", "parties", "dialog")} == {
        name: CHAT[name] for name in ("uuid", "parties", "dialog")
    }
    assert api.get(f"/v1/vcons/{UUID}/original").content == POSTED


def test_it_is_found_by_what_was_written(platform: Platform, landed: dict[str, str]) -> None:
    found = platform.cli("vcon", "search", "zebrakettle", "--mailto", "grace@example.org")
    assert (found.returncode, found.stdout.split()) == (0, [UUID]), found.stderr


def test_nobody_gets_it_without_the_key(platform: Platform, landed: dict[str, str]) -> None:
    assert httpx.get(f"{platform.stack.api_url}/v1/vcons/{UUID}", timeout=30).status_code == 401


def test_redis_archive_and_media_agree(platform: Platform, landed: dict[str, str]) -> None:
    def told() -> str:  # what other files sent may still be on its way
        done = platform.cli("store", "check", "--deep")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    assert "0 faults" in eventually(told, PATIENCE, 1.0, "the store is sound")

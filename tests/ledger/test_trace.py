"""``vcon-platform trace``: the conversation's story on a terminal and for programs."""

from __future__ import annotations

import json
import re

import pytest
import redis
import typer
from typer.testing import CliRunner

from tests.ledger.test_outbox import put
from tests.ledger.test_store import event
from tests.support import free_port
from vcon_platform.commands.trace import trace
from vcon_platform.ledger.events import EventKind
from vcon_platform.ledger.store import Ledger
from vcon_platform.vcon.uuids import new_uuid

app = typer.Typer()
app.command()(trace)


@pytest.fixture
def _installation(monkeypatch: pytest.MonkeyPatch, redis_url: str, postgres_url: str) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("_installation")
def test_the_whole_story_is_printed_with_what_still_waited_in_redis(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    uuid = new_uuid()
    Ledger(postgres_url).append([event(uuid, EventKind.CREATED, revision=1, detail={"adapter": "freeswitch"})])
    put(
        redis_client,
        event(
            uuid,
            pipeline="recall",
            pipeline_version="ab12",
            processor="transcribe",
            processor_version="1",
            run_id="8a7b6c5d4e",
        ),
        event(
            uuid,
            EventKind.FILTERED,
            pipeline="recall",
            processor="recall_finder",
            detail={"reason": "no word of it", "words": 3},
        ),
    )
    result = CliRunner().invoke(app, [f"vcon:{uuid.upper()}"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert f"{uuid}: 3 events" in lines[0]
    told = [line.strip().split(maxsplit=2)[1:] for line in lines if re.match(r"\d\d:", line)]
    assert told == [
        ["created", "adapter=freeswitch, revision 1"],
        ["processed", "transcribe@1"],
        ["filtered", "recall_finder: no word of it, words=3"],
    ]
    assert [line.strip() for line in lines[1:] if line.startswith(" ")] == ["recall@ab12, run 8a7b6c5d", "recall"]


@pytest.mark.usefixtures("_installation")
def test_a_terminal_of_eighty_characters_has_room_for_what_happened(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stored = event(
        new_uuid(),
        EventKind.FAILED,
        pipeline="quality",
        pipeline_version="f743fca12b06",
        processor="openai_chat_completion",
        processor_version="1.1.0",
        run_id="8a7b6c5d4e",
        detail={"reason": "the budget is used up", "sha256": "0" * 64},
    )
    Ledger(postgres_url).append([stored])
    lines = CliRunner().invoke(app, [stored.vcon_uuid]).output.splitlines()
    assert any("openai_chat_completion@1.1.0: the budget is used" in line for line in lines)
    assert any("sha256=000000000000…" in line for line in lines)
    assert len(lines) <= 5


@pytest.mark.usefixtures("_installation")
def test_json_gives_every_member_of_every_event(postgres_url: str) -> None:
    stored = event(detail={"reason": "größer"})
    Ledger(postgres_url).append([stored])
    result = CliRunner().invoke(app, [stored.vcon_uuid, "--json"])
    assert json.loads(result.stdout)[0] == json.loads(stored.to_bytes())


@pytest.mark.usefixtures("_installation")
def test_an_unknown_conversation_ends_with_1_and_the_next_step() -> None:
    result = CliRunner().invoke(app, [new_uuid()])
    assert result.exit_code == 1
    assert "knows no conversation" in result.stderr
    assert "vcon-platform status" in result.stderr
    assert CliRunner().invoke(app, ["hello"]).exit_code == 1


def test_without_servers_it_says_what_to_start(monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("POSTGRES_URL", postgres_url)
    stored = event()
    Ledger(postgres_url).append([stored])
    without_redis = CliRunner().invoke(app, [stored.vcon_uuid])
    assert without_redis.exit_code == 0
    assert "newest events may be missing" in without_redis.stderr
    monkeypatch.setenv("POSTGRES_URL", f"postgresql://x:secret@127.0.0.1:{free_port()}/x")
    without_both = CliRunner().invoke(app, [stored.vcon_uuid])
    assert without_both.exit_code == 1
    assert "vcon-platform status" in without_both.stderr
    assert "secret" not in without_both.output


@pytest.mark.usefixtures("_installation")
def test_nothing_in_an_event_can_steer_the_terminal(postgres_url: str) -> None:
    stored = event(pipeline="[red]x\x1b[2J", detail={"reason": "a\u202eb [bold]c"})
    Ledger(postgres_url).append([stored])
    output = CliRunner().invoke(app, [stored.vcon_uuid]).output
    assert "[red]x\\u001b[2J" in output
    assert "a\\u202eb [bold]c" in output
    assert "\x1b" not in output

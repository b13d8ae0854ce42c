"""``vcon-platform effects``: an operator sees what was not sent, and decides, without seeing whom it was for."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import Run
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.store import keys
from vcon_platform.store.effects import new_effect
from vcon_platform.store.opening import Store

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"


@pytest.fixture
def refused(store: Store) -> str:
    body = {"to": ["alice@example.org"], "text": "secret"}
    store.client.rpush(keys.EFFECTS, new_effect(UUID, "notes", "mail", "send_email", "1", body, "a mail to 1"))
    outbox = effects_outbox(store.client)
    [effect] = outbox.claim(1, "run")
    outbox.refuse(effect, "run", "no such recipient")
    return effect.key


def test_list_shows_what_and_why_and_nobody(run: Run, refused: str) -> None:
    done = run("effects", "list", "--json")
    assert "alice" not in done.stdout
    assert "secret" not in done.stdout
    [effect] = json.loads(done.stdout)["effects"]
    assert (effect["key"], effect["state"], effect["reason"]) == (refused, "refused", "no such recipient")


def test_list_says_how_many_there_are(run: Run, refused: str) -> None:
    assert "0 waiting, 0 sending, 0 later, 1 refused, 0 uncertain, 0 sent" in run("effects", "list").stdout


def test_resend_has_it_tried_again(run: Run, refused: str, store: Store) -> None:
    assert run("effects", "resend", refused).exit_code == 0
    assert effects_outbox(store.client).counts()["waiting"] == 1


def test_drop_gives_it_up(run: Run, refused: str, store: Store) -> None:
    assert run("effects", "drop", refused).exit_code == 0
    assert effects_outbox(store.client).counts()["refused"] == 0


def test_a_key_that_is_none_is_told(run: Run, store: Store) -> None:
    done = run("effects", "resend", "nothing")
    assert done.exit_code == 1
    assert "no effect nothing" in str(done.exception) + done.stderr

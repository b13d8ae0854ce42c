"""``vcon-platform keys``: make, list, revoke."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import Run
from vcon_platform.access.keys import KeyStore
from vcon_platform.store.opening import Store


def test_a_key_is_shown_once_and_is_good(run: Run, store: Store) -> None:
    done = run("keys", "create", "night shift", "-s", "read", "-s", "ingest:recall", "--expires", "30d")
    assert done.exit_code == 0, done.output
    key = KeyStore(store.client).check(done.stdout.strip())
    assert key is not None
    assert key.scopes == ("read", "ingest:recall")
    assert done.stdout.strip() not in run("keys", "list", "--json").stdout


def test_what_it_shows_can_be_limited(run: Run, store: Store) -> None:
    done = run("keys", "create", "acme", "-s", "read", "--adapter", "chat", "--tag", "tenant: acme", "--json")
    assert json.loads(done.stdout)["visible"] == {"adapters": ["chat"], "tags": ["tenant:acme"]}


def test_a_revoked_key_stays_in_the_list(run: Run, store: Store) -> None:
    made = json.loads(run("keys", "create", "x", "-s", "read", "--json").stdout)
    assert run("keys", "revoke", made["id"]).exit_code == 0
    [listed] = json.loads(run("keys", "list", "--json").stdout)
    assert (listed["id"], listed["state"]) == (made["id"], "revoked")
    assert "revoked" in run("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-s", "root"), "is no scope"),
        (("-s", "read", "--expires", "soon"), "30d"),
        (("-s", "read", "--expires", "2020-01-01T00:00:00Z"), "passed"),
        (("-s", "read", "--tag", "acme"), "NAME:VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(
    run: Run, store: Store, arguments: tuple[str, ...], told: str
) -> None:
    done = run("keys", "create", "x", *arguments)
    assert done.exit_code != 0
    assert told in str(done.exception) + done.output
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_a_key_that_is_none_cannot_be_revoked(run: Run, store: Store) -> None:
    done = run("keys", "revoke", "nobody")
    assert done.exit_code == 1
    assert "keys list" in str(done.exception) + done.output

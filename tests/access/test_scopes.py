"""Scopes: which covers which."""

from __future__ import annotations

import pytest

from vcon_platform.access.caller import Caller, NotAllowed, Visible
from vcon_platform.access.scopes import SCOPES, ScopeRefused, covers, scope


@pytest.mark.parametrize("name", [*SCOPES, "ingest:recall"])
def test_each_scope_covers_itself_and_admin_covers_all(name: str) -> None:
    assert covers([scope(name)], name)
    assert covers(["admin"], name)


def test_ingest_covers_every_queue_and_one_queue_covers_no_other() -> None:
    assert covers(["ingest"], "ingest:recall")
    assert not covers(["ingest:recall"], "ingest:other")
    assert not covers(["ingest:recall"], "ingest")


def test_no_other_scope_covers_another() -> None:
    ordinary = [name for name in SCOPES if name != "admin"]
    assert [(a, b) for a in ordinary for b in ordinary if a != b and covers([a], b)] == []


@pytest.mark.parametrize("text", ["", "root", "read:all", "ingest:", "ingest:vcon:x", "READ"])
def test_what_is_no_scope_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ScopeRefused):
        scope(text)


def test_who_lacks_a_scope_is_told_which() -> None:
    with pytest.raises(NotAllowed, match="lacks the scope 'operate'"):
        Caller("k", "reader", frozenset({"read"})).need("operate")


def test_a_caller_sees_what_came_by_one_of_its_adapters_and_has_all_its_tags() -> None:
    visible = Visible(("chat", "mail"), ("tenant:acme", "team:north"))
    assert visible.shows("chat", ["team:north", "tenant:acme", "more:yes"])
    assert not visible.shows("chat", ["tenant:acme"])
    assert not visible.shows("freeswitch", ["tenant:acme", "team:north"])
    assert Visible().shows(None, [])
    assert Visible().everything
    assert Visible.from_json(visible.to_json()) == visible

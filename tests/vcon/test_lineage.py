"""How a copy and its original find each other, and that no chain of copies leads anybody astray."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from vcon_platform.vcon.copies import Allow, amended_copy, redacted_copy
from vcon_platform.vcon.document import Append, Vcon
from vcon_platform.vcon.lineage import Kin, Link, NotACopy, lineage_of, link_back, walk_lineage

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
FIRST, SECOND, THIRD = (f"01990b2c-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))


def _small(**rest: Any) -> Vcon:
    return Vcon({"uuid": FIRST, "created_at": "2026-09-07T09:00:00Z", **rest})


def test_a_copy_and_its_original_find_each_other() -> None:
    original = _small(subject="x")
    made = redacted_copy(original, "names", Allow(), now=NOW)
    assert link_back(original, made)
    assert lineage_of(made.data) == [Link("redacted", original.uuid, "original")]
    assert lineage_of(original.data) == [Link("redacted", made.uuid, "copy")]


def test_the_link_back_is_an_append_that_no_concurrent_writer_conflicts_with() -> None:
    original = _small()
    made = amended_copy(original, now=NOW)
    link_back(original, made)
    [change] = original.changes
    assert isinstance(change, Append)
    assert change.value["body"] == {"uuid": original.uuid, "amended_by": made.uuid}
    assert not change.value.keys() & {"party", "dialog"}


def test_a_signed_original_is_linked_too() -> None:
    original = Vcon({"uuid": FIRST, "created_at": "x", "attachments": [{}]}, sealed={"attachments": 1})
    assert link_back(original, Vcon({"uuid": SECOND, "created_at": "x", "amended": {"uuid": FIRST}}))


def test_linking_twice_adds_nothing() -> None:
    original = _small()
    made = amended_copy(original, now=NOW)
    assert link_back(original, made)
    assert not link_back(original, made)
    assert len(original.attachments) == 1


def test_a_stranger_is_not_linked_as_a_copy() -> None:
    with pytest.raises(NotACopy, match="does not say"):
        link_back(_small(), Vcon({"uuid": SECOND, "created_at": "x", "amended": {"uuid": THIRD}}))


def test_an_amended_copy_does_not_take_its_originals_copies_for_its_own() -> None:
    original = _small()
    link_back(original, amended_copy(original, now=NOW, uuid=SECOND))
    later = amended_copy(original, now=NOW, uuid=THIRD)
    assert lineage_of(later.data) == [Link("amended", FIRST, "original")]


def test_links_that_name_nothing_are_passed_over() -> None:
    odd: list[Any] = [
        "text",
        {"purpose": "lineage"},
        {"purpose": "lineage", "body": "{"},
        {"purpose": "lineage", "body": [SECOND]},
        {"purpose": "lineage", "body": {"amended_by": 5, "redacted_by": "../../etc/passwd"}},
        {"purpose": "lineage", "body": {"amended_by": FIRST}},
        {"purpose": "lineage", "body": f'{{"redacted_by": "{SECOND.upper()}"}}'},
        {"purpose": "tags", "body": {"amended_by": THIRD}},
    ]
    data = {"uuid": FIRST, "redacted": {}, "amended": {"uuid": FIRST}, "attachments": odd}
    assert lineage_of(data) == [Link("redacted", SECOND, "copy")]


@pytest.mark.parametrize("data", [{}, {"attachments": None}, {"attachments": {}, "redacted": [], "amended": "x"}])
def test_a_document_without_links_has_no_lineage(data: dict[str, Any]) -> None:
    assert lineage_of(data) == []


def _chain(*pairs: tuple[str, str]) -> dict[str, Mapping[str, Any]]:
    return {uuid: {"uuid": uuid, "amended": {"uuid": of}} for uuid, of in pairs}


def test_a_circle_is_walked_once() -> None:
    store = _chain((FIRST, SECOND), (SECOND, THIRD), (THIRD, FIRST))
    assert [kin.link.uuid for kin in walk_lineage(FIRST, store.get)] == [SECOND, THIRD]


def test_a_vcon_that_amends_itself_has_no_kin() -> None:
    assert walk_lineage(FIRST, _chain((FIRST, FIRST)).get) == []


def test_a_vcon_that_is_not_here_is_named_as_not_found() -> None:
    [kin] = walk_lineage(FIRST, _chain((FIRST, SECOND)).get)
    assert kin == Kin(Link("amended", SECOND, "original"), via=FIRST, found=False)


def test_copies_and_their_copies_are_walked_both_ways() -> None:
    first = _small()
    second = amended_copy(first, now=NOW, uuid=SECOND)
    link_back(first, second)
    third = redacted_copy(second, "x", Allow(), now=NOW, uuid=THIRD)
    link_back(second, third)
    store = {vcon.uuid: vcon.data for vcon in (first, second, third)}
    assert {kin.link.uuid for kin in walk_lineage(FIRST, store.get)} == {SECOND, THIRD}
    assert {kin.link.uuid for kin in walk_lineage(THIRD, store.get)} == {SECOND, FIRST}


def test_an_endless_chain_is_walked_so_far_and_no_further() -> None:
    asked = 0

    def read(uuid: str) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"uuid": uuid, "amended": {"uuid": f"01990b2c-0000-7000-8000-{asked + 1_000:012d}"}}

    assert len(walk_lineage(THIRD, read, limit=20)) == 19
    assert asked == 20

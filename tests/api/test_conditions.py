"""A vCon's entity tag is its revision; conditions on it are met or nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.conftest import Shared
from vcon_platform.vcon.uuids import new_uuid

Make = Callable[..., dict[str, Any]]


def post(shared: Shared, vcon: dict[str, Any], **headers: str) -> tuple[int, str]:
    answer = shared.admin.post(
        "/v1/vcons", json=vcon, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    return answer.status_code, answer.json().get("code") or answer.headers["etag"]


def test_get_gives_the_revision_and_304_to_who_has_it(shared: Shared, document: Make) -> None:
    vcon = document()
    _, tag = post(shared, vcon)
    path = f"/v1/vcons/{vcon['uuid']}"
    answer = shared.admin.get(path)
    assert answer.headers["etag"] == tag == '"1"'
    for known in (tag, f'"7", W/{tag}', "*"):
        again = shared.admin.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert shared.admin.get(path, headers={"If-None-Match": '"7"'}).status_code == 200


def test_only_the_revision_after_the_one_that_was_read_is_made(shared: Shared, document: Make) -> None:
    vcon = document()
    post(shared, vcon)
    assert post(shared, {**vcon, "subject": "a"}, If_Match='"1"') == (200, '"2"')
    assert post(shared, {**vcon, "subject": "b"}, If_Match='"1"') == (412, "revision_changed")
    assert post(shared, {**vcon, "subject": "b"}, If_Match='"none of ours"') == (412, "revision_changed")
    assert shared.admin.get(f"/v1/vcons/{vcon['uuid']}").json()["subject"] == "a"


def test_the_same_request_again_is_met_though_its_own_revision_stands(shared: Shared, document: Make) -> None:
    vcon = document()
    post(shared, vcon, If_None_Match="*")
    assert post(shared, vcon, If_None_Match="*") == (200, '"1"')
    for _ in range(2):
        assert post(shared, {**vcon, "subject": "a"}, If_Match='"1"') == (200, '"2"')


def test_a_vcon_that_is_there_is_not_taken_for_new(shared: Shared, document: Make) -> None:
    vcon = document()
    assert post(shared, vcon, If_None_Match="*") == (201, '"1"')
    assert post(shared, {**vcon, "subject": "a"}, If_None_Match="*") == (412, "already_there")


@pytest.mark.parametrize("tag", ['"1"', "*"])
def test_a_vcon_that_is_not_there_is_not_made_where_one_was_to_be_revised(
    shared: Shared, document: Make, tag: str
) -> None:
    vcon = document()
    assert post(shared, vcon, If_Match=tag) == (412, "revision_changed")
    assert shared.admin.get(f"/v1/vcons/{vcon['uuid']}").status_code == 404


@pytest.mark.parametrize(
    "headers", [{"If_None_Match": '"1"'}, {"If_Match": '"1", "2"'}, {"If_Match": '"1"', "If_None_Match": "*"}]
)
def test_a_condition_that_is_not_understood_is_refused(shared: Shared, document: Make, headers: dict[str, str]) -> None:
    assert post(shared, document(), **headers) == (422, "bad_condition")


def test_of_many_that_revise_the_same_revision_one_does(shared: Shared, document: Make) -> None:
    vcon = document()
    post(shared, vcon)
    with ThreadPoolExecutor(8) as several:
        told = list(several.map(lambda n: post(shared, {**vcon, "subject": str(n)}, If_Match='"1"')[0], range(8)))
    assert sorted(told) == [200, *[412] * 7]


def test_only_the_revision_that_was_read_is_deleted(shared: Shared, document: Make) -> None:
    vcon = document()
    post(shared, vcon)
    post(shared, {**vcon, "subject": "a"})
    path = f"/v1/vcons/{vcon['uuid']}"
    refused = shared.admin.delete(path, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["code"]) == (412, "revision_changed")
    assert shared.admin.delete(path, headers={"If-Match": '"2"'}).status_code == 204
    assert shared.admin.delete(f"/v1/vcons/{new_uuid()}", headers={"If-Match": '"1"'}).status_code == 404

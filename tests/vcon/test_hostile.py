"""Every hostile document is answered as its case says, with its status and its code, and nothing crashes."""

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.vcon.certificates import HOSTILE
from tests.vcon.ingress import POLICY, Reply, reply
from vcon_platform.vcon.bundle import read_bundle
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.trust import load_trust

CASES = json.loads((HOSTILE / "cases.json").read_bytes())
MEDIA_TYPES = {"gz": "application/vcon+gzip", "json": "application/vcon"}


def answer(case: dict[str, Any], **policy: Any) -> Reply:
    path = HOSTILE / case["file"]
    kind = path.suffix[1:]
    if kind == "vconz":
        try:
            read_bundle(io.BytesIO(path.read_bytes()))
        except Rejected as refused:
            return Reply(refused.status, [fault.code for fault in refused.faults], [])
        return Reply(201, [], [])
    return reply(path.read_bytes(), replace(POLICY, **policy), MEDIA_TYPES[kind])


def expected(case: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\w+", case["code"]))


def test_every_file_has_a_case() -> None:
    files = {path.name for path in HOSTILE.iterdir()} - {"cases.json", "INDEX.md"}
    assert {case["file"] for case in CASES} == files


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_the_answer_has_the_expected_status(case: dict[str, Any]) -> None:
    assert answer(case).status in case["status"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_the_answer_has_the_expected_code(case: dict[str, Any]) -> None:
    found = answer(case)
    if "created" in expected(case):  # 37 holds U+0000 too, and is then told as class 35
        assert found.received is not None
    else:
        assert expected(case) & set(found.codes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_trusted_certificates_change_no_answer(case: dict[str, Any]) -> None:
    trust = load_trust(HOSTILE.parent / "vcons" / "certs" / "core" / "fake_ca_root.crt", require_ca=False)
    found = answer(case, trust=trust)
    assert found.status in case["status"]


STRICT = {case["file"] for case in CASES if "strict: 422" in case["note"]}


@pytest.mark.parametrize("case", [case for case in CASES if case["file"] in STRICT], ids=lambda case: case["file"])
def test_a_strict_source_refuses_what_is_else_a_warning(case: dict[str, Any]) -> None:
    found = answer(case, strict=True)
    assert (found.status, expected(case) <= set(found.codes)) == (422, True)

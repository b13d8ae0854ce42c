"""Any document at all, sensible or not, is refused or has a view that does not change again, in little time."""

import copy
import random
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vcon.ingress import POLICY, document, message
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.migrate import ARRAYS
from vcon_platform.vcon.received import receive

NAMES = (
    *("type", "start", "duration", "parties", "originator", "mediatype", "mimetype", "filename", "body", "encoding"),
    *("url", "content_hash", "alg", "signature", "disposition", "session_id", "party_history", "recordings"),
    *("recording_set", "transferee", "transfer_target", "transfer-target", "target-dialog", "original", "application"),
    *("purpose", "party", "dialog", "attachment", "vendor", "vendor_schema", "schema", "schema_version", "transcript"),
    *("email", "mailto", "x"),
)
TOP = (
    *("vcon", "subject", "updated_at", "redacted", "amended", "appended", "critical", "must_support", "extensions"),
    *("group", "x"),
)
HASH = "sha512-pKvURIxJVi2CgRXROh_M6pJ_UrTVRZKX-LQ-QtqJI4vBNibkPcs43bCCSIkn7JBPtCBXRDmD6IWFF51QVRr-Yg"
DIGEST = HASH.removeprefix("sha512-")
WORDS = (
    *("recording", "text", "transfer", "incomplete", "recording-set", "video", "email", "tags", "none", "json", "busy"),
    *("base64url", "base64", "audio/x-wav", "wav", "text/plain", "application/json", "0.0.1", HASH, DIGEST, "SHA-512"),
    *("https://m.example.com/a?sig=1", "a/b", "x", "", "{", "[1]", '"[1]"', '{"a":"\\u0000"}', "AAAA", "AA==", "\0"),
    *("2026-09-07 09:00:00", "2026-09-07T09:00:00Z", "1.5"),
)
scalars = (
    st.sampled_from(WORDS) | st.sampled_from([None, True, False, 0, 1, 2, -1, 1.5, 1_788_771_600]) | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
elements = st.dictionaries(st.sampled_from(NAMES), values, max_size=7)
documents = st.builds(
    lambda top, arrays: {"uuid": "01990b2c-7d10-7a41-9c3e-5b7f2d4e6a80", **top, **arrays},
    st.dictionaries(st.sampled_from(TOP), values, max_size=3),
    st.dictionaries(st.sampled_from(ARRAYS), st.lists(elements, max_size=3) | values, max_size=4),
)
TEXTS = [
    "",
    "hello",
    "5",
    "[1]",
    '"[1]"',
    '"5"',
    "{",
    '{"a":"\\u0000"}',
    "AAAA",
    "AA==",
    "+/+/",
    "AAAAA",
    "\0",
    '"\\"[2]\\""',
]
HASHES = [HASH, f"{HASH}==", HASH.replace("sha512-", "SHA-512:"), [HASH], [f"{HASH}=="], ""]
PLAUSIBLE: dict[str, list[Any]] = {
    "type": [
        "recording",
        "text",
        "transfer",
        "incomplete",
        "recording-set",
        "video",
        "email",
        "text/plain",
        "tags",
        "x",
    ],
    "start": [
        "2026-09-07 09:00:00",
        "2026-09-07T09:00:00Z",
        "2026-09-07T09:00Z",
        1_788_771_600,
        "7 Sep 2026 09:00:00 GMT",
    ],
    "duration": [0, 1.5, "1.5", -1],
    "parties": [0, [0, 1], [[0], None], []],
    "originator": [0, 1],
    "mediatype": ["audio/x-wav", "wav", " text/plain", "text/plain", "a/b;\r\n c=d", ""],
    "mimetype": ["audio/x-wav", "WAV", "text/plain", "", "audio/ogg "],
    "body": [*TEXTS, {"a": 1}, [1], 5, None],
    "transcript": [*TEXTS, {"a": 1}, None],
    "encoding": ["none", "json", "base64url", "base64", "JSON", "", None],
    "url": ["https://m.example.com/a?sig=1", "a/b", "http://x/", "", None],
    "content_hash": HASHES,
    "alg": ["SHA-512", "sha512", "LM-OTS"],
    "signature": [DIGEST, f"{DIGEST}=="],
    "disposition": ["busy", "", None],
    "session_id": ["a", "", {"local": "a"}, ["a", {}], [["a"]], None],
    "party_history": [[{"party": 0, "time": "2026-09-07 09:00:00"}], [], None],
    "transferee": [0, 1],
    "transfer_target": [0, [1], None],
    "transfer-target": [0, [1], "", None],
    "target-dialog": [0, []],
    "application": ["x", None],
    "purpose": ["tags", "x", "", None],
    "party": [0, None],
    "dialog": [0, [0]],
    "vendor": ["x", None],
    "vendor_schema": ["x", "y", ""],
    "schema": ["x", "", None],
    "schema_version": ["x", "z"],
    "email": ["a@b", "", 5],
    "mailto": ["a@b", "", None],
    "filename": ["a", None],
    "x": [None, "", {"type": "video"}, "\0"],
}
PLACES = {
    "parties": ("email", "mailto", "x"),
    "dialog": tuple(
        set(PLAUSIBLE) - {"vendor", "vendor_schema", "schema", "schema_version", "transcript", "email", "mailto"}
    ),
    "analysis": (
        *("type", "vendor", "vendor_schema", "schema", "schema_version", "transcript", "body", "encoding", "mediatype"),
        *("mimetype", "dialog", "url", "content_hash", "alg", "signature", "x"),
    ),
    "attachments": (
        *("type", "purpose", "start", "party", "dialog", "body", "encoding", "mediatype", "mimetype", "url"),
        *("content_hash", "alg", "signature", "x"),
    ),
    "": ("vcon", "created_at", "appended", "amended", "must_support", "critical", "group"),
}
PLAUSIBLE_TOP: dict[str, list[Any]] = {
    "vcon": ["0.0.1", "0.4.0", "", 4],
    "created_at": [None, "2026-09-07 09:00:00"],
    "appended": [{"uuid": "x"}, {}, None, {"url": "a/b", "mimetype": "wav"}],
    "amended": [{"uuid": "x"}, {}, None, {"alg": "SHA-512", "signature": DIGEST}],
    "must_support": [["x"], [], None],
    "critical": [["x", "y"], [], None],
    "group": [[], None, [{}]],
}


def plausible(seed: int) -> dict[str, Any]:
    """A document with a few members that make sense by themselves: most are taken in, and mix all versions."""
    choose = random.Random(seed)

    def some(names: tuple[str, ...], kinds: dict[str, list[Any]], most: int) -> dict[str, Any]:
        chosen = choose.sample(sorted(names), choose.randint(0, min(most, len(names))))
        return {name: copy.deepcopy(choose.choice(kinds[name])) for name in chosen}

    arrays = {array: [some(PLACES[array], PLAUSIBLE, 6)] for array in ARRAYS}
    arrays["parties"] += [{}, {}]
    return {**document(**arrays), **some(PLACES[""], PLAUSIBLE_TOP, 2)}


mild = st.integers(0, 2**32).map(plausible)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents | values)
def test_any_document_is_refused_or_has_a_stable_view(value: Any) -> None:
    assert_stable(value)


@pytest.mark.parametrize("seed", range(0, 8000, 1000))
def test_plausible_documents_of_mixed_versions_have_a_stable_view(seed: int) -> None:
    for number in range(1000):
        assert_stable(plausible(seed + number))


def assert_stable(value: Any) -> None:
    """It is refused, or migrating its view again changes nothing."""
    try:
        received = receive(value, POLICY)
    except Rejected:
        return
    first = orjson.dumps(received.data)
    again = receive(orjson.loads(first), POLICY)
    assert orjson.dumps(again.data) == first


@settings(max_examples=200, deadline=None)
@given(documents | mild)
def test_what_is_known_of_the_bytes_changes_nothing(value: Any) -> None:
    raw = orjson.dumps(value)
    assert answers(orjson.loads(raw), skeleton=raw) == answers(orjson.loads(raw), skeleton=None)


def answers(value: Any, skeleton: bytes | None) -> Any:
    try:
        received = receive(value, POLICY, skeleton=skeleton)
    except Rejected as refused:
        return refused.faults
    return received.data, received.findings


@pytest.mark.parametrize(
    "hostile",
    [
        {"dialog": [message(mediatype=" " * 4000)] * 2000},
        {"dialog": [message(url="?" * 200_000)]},
        {"dialog": [message(url="https://" + "1." * 200_000)]},
        {"parties": [{"\0" * n + "a": 1 for n in range(2000)}]},
        {"critical": [str(n) for n in range(50_000)]},
        {"analysis": [{"type": "x", "vendor": "y", "encoding": "json", "body": "[" * 500_000}]},
        {"analysis": [{"type": "x", "vendor": "y", "encoding": "base64url", "body": "A" * 3_000_001}]},
    ],
    ids=["spaces", "questions", "labels", "names", "critical", "brackets", "base64"],
)
def test_no_document_takes_long(hostile: dict[str, Any]) -> None:
    value = document(**hostile)
    begin = time.process_time()
    with suppress(Rejected):
        receive(value, POLICY)
    assert time.process_time() - begin < 3

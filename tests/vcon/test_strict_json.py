"""Gate 1: what is refused as unsafe or ambiguous JSON, and that nothing else is."""

import contextlib
import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.faults import Fault, Finding, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.strict_json import read_json

LIMITS = Limits()
SMALL = Limits(depth=3, members=8, elements=4)


def _fault(raw: bytes, limits: Limits = LIMITS) -> Fault:
    with pytest.raises(Rejected) as refused:
        read_json(raw, limits)
    [fault] = refused.value.faults
    return fault


# --- what is refused, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "code", "pointer"),
    [
        (b"", 400, "empty_body", ""),
        (b" \r\n\t", 400, "empty_body", ""),
        (b"\xef\xbb\xbf", 400, "empty_body", ""),
        (b'{"a": 1} {"b": 2}', 400, "trailing_data", ""),
        (b"{}\x00", 400, "trailing_data", ""),
        (b"[1] ]", 400, "trailing_data", ""),
        (b'{"a": {"b": [1, NaN]}}', 400, "malformed_json", "/a/b/1"),
        (b'{"a": -Infinity}', 400, "malformed_json", "/a"),
        (b'{"a": [1e400]}', 400, "number_out_of_range", "/a/0"),
        (b'{"a": -1.5E+309}', 400, "number_out_of_range", "/a"),
        (b'{"a": 9007199254740992}', 422, "big_integer", "/a"),
        (b'{"a": [0, -9007199254740992]}', 422, "big_integer", "/a/1"),
        (b'{"a": 18446744073709551616}', 422, "big_integer", "/a"),
        (b'{"a": ' + b"9" * 309 + b"}", 400, "malformed_json", "/a"),
        (b'{"a": 01}', 400, "malformed_json", "/a"),
        (b'{"a": 1.}', 400, "malformed_json", "/a"),
        (b'{"a": +1}', 400, "malformed_json", "/a"),
        (b'{"a": .5}', 400, "malformed_json", "/a"),
        (b'{"uuid": 1, "uuid": 2}', 400, "duplicate_key", "/uuid"),
        (b'{"a": [{"b": 1, "\\u0062": 2}]}', 400, "duplicate_key", "/a/0/b"),
        (b'{"": 1, "": 2}', 400, "duplicate_key", "/"),
        (b'{"a/b~c": 1, "a/b~c": 2}', 400, "duplicate_key", "/a~1b~0c"),
        (b'{"a": "\\u0022", "b": "x", "b": "y"}', 400, "duplicate_key", "/b"),
        (b'{"a": "\\ud800"}', 400, "malformed_json", "/a"),
        (b'{"a": "\\ude00\\ud83d"}', 400, "malformed_json", "/a"),
        (b'{"a": "\\uD83Dx"}', 400, "malformed_json", "/a"),
        (b'{"a": "\xed\xa0\x80"}', 400, "malformed_json", "/a"),
        (b'{"a": "\xff"}', 400, "malformed_json", "/a"),
        (b'{"a": "\x01"}', 400, "malformed_json", "/a"),
        (b'{"a": "\\x41"}', 400, "malformed_json", "/a"),
        (b'{"a": "b', 400, "malformed_json", "/a"),
        (b'{"a": "\\', 400, "malformed_json", "/a"),
        (b'{"a" 1}', 400, "malformed_json", ""),
        (b'{"a": 1,}', 400, "malformed_json", ""),
        (b"{'a': 1}", 400, "malformed_json", ""),
        (b"[1, 2", 400, "malformed_json", "/1"),
        (b"[1,, 2]", 400, "malformed_json", "/1"),
        ('{"a": 1}'.encode("utf-16"), 400, "malformed_json", ""),
        ('{"a": 1}'.encode("utf-16-le"), 400, "malformed_json", ""),
        ('{"a": 1}'.encode("utf-32-be"), 400, "malformed_json", ""),
    ],
)
def test_unsafe_json_is_refused_with_its_place(raw: bytes, status: int, code: str, pointer: str) -> None:
    fault = _fault(raw)
    assert (fault.status, fault.code, fault.pointer) == (status, code, pointer)


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (b'{"a": {"b": {"c": {}}}}', "too_deep", "/a/b/c"),
        (b"[[[[]]]]", "too_deep", "/0/0/0"),
        (b"[1, 2, [1, 2, 3, 4, 5]]", "too_many_elements", "/2"),
        (b'[{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3}]', "too_many_members", ""),
        (b"[[[],[],[]],[[],[],[]],[[],[],[]]]", "too_many_elements", ""),
    ],
)
def test_more_than_may_be_held_is_refused(raw: bytes, code: str, pointer: str) -> None:
    fault = _fault(raw, SMALL)
    assert (fault.code, fault.pointer) == (code, pointer)
    assert fault.status == (400 if code == "too_deep" else 413)


def test_a_body_of_5000_brackets_is_too_deep_and_no_crash() -> None:
    fault = _fault(b"[" * 5000 + b"]" * 5000)
    assert fault.code == "too_deep"
    assert fault.pointer == "/0" * 64


@pytest.mark.parametrize("depth", [64, 65, 200, 300, 1100])
def test_depth_is_counted_exactly(depth: int) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth
    assert _fault(raw, Limits(depth=depth - 1)).code == "too_deep"
    if depth < 1000:  # deeper than the parser itself goes
        assert read_json(raw, Limits(depth=depth))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 9007199254740991, "b": -9007199254740991}', {"a": 2**53 - 1, "b": 1 - 2**53}),
        (b'[0.1234567890123456789, 1e20, 12345678901234567890.5, 1e-400, "12345678901234567890"]', None),
        (b'["\\"", "\\\\", "\\\\\\"", "{[,:\\u0022", "\\ud83d\\ude00", "\\u0000"]', None),
        (b" \n[ ] \t", []),
        (b'{"a": 1, "b": {"a": 1}}', {"a": 1, "b": {"a": 1}}),
        (b"null", None),
    ],
)
def test_what_only_looks_wrong_is_kept(raw: bytes, value: Any) -> None:
    assert read_json(raw, LIMITS) == (json.loads(raw) if value is None else value)


def test_a_byte_order_mark_is_taken_off_and_told() -> None:
    findings: list[Finding] = []
    assert read_json(b'\xef\xbb\xbf{"a": 1}', LIMITS, findings) == {"a": 1}
    assert [finding.code for finding in findings] == ["bom_stripped"]


def test_a_byte_order_mark_counts_in_places() -> None:
    assert "at byte 9 (line 2)" in _fault(b'\xef\xbb\xbf{\n"a":nan}').message


def test_a_message_names_the_byte_and_the_line() -> None:
    assert "at byte 17 (line 3)" in _fault(b'{\n "a": 1,\n "b": tru}').message


def test_no_value_of_the_document_is_told() -> None:
    fault = _fault(b'{"card": "4111-1111", "note": "4111-1111\x02"}')
    assert "4111" not in fault.message + fault.pointer


def test_names_in_a_pointer_are_short_and_printable() -> None:
    name = b"n\\n" + b"x" * 100_000
    fault = _fault(b'{"' + name + b'": {"' + name + b'": nan}}')
    assert len(fault.pointer) <= 256
    assert fault.pointer.isprintable()


def test_places_are_those_of_what_came() -> None:
    with pytest.raises(Rejected, match="at byte 107 "):
        read_json(b'{"a": nan}', LIMITS, came_at=lambda place: place + 101)


# --- nothing else is: against a simple reader ---------------------------------------------------------------------


def _reference(raw: bytes, limits: Limits) -> Any:
    """The same rules by way of the standard library; ValueError if the text is refused."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) != len(items):
            raise ValueError("duplicate")
        return dict(items)

    def integer(text: str) -> int:
        if len(text) > 20 or abs(int(text)) > 2**53 - 1:
            raise ValueError("big")
        return int(text)

    def constant(text: str) -> None:
        raise ValueError(text)

    def number(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError("range")
        return float(text)

    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_int=integer, parse_constant=constant, parse_float=number
        )
    except RecursionError:
        raise ValueError("deep") from None
    members = held = 0
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, str):
            each.encode()  # a lone surrogate is a ValueError
        if not isinstance(each, dict | list):
            continue
        if depth >= limits.depth or (isinstance(each, list) and len(each) > limits.elements):
            raise ValueError("deep or long")
        held += len(each) or 1
        if isinstance(each, dict):
            members += len(each)
            "".join(each).encode()
        waiting += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    if members > limits.members or held > limits.members + limits.elements:
        raise ValueError("many")
    return value


def _agree(raw: bytes, limits: Limits) -> None:
    try:
        expected = _reference(raw, limits)
    except ValueError:
        with pytest.raises(Rejected):
            read_json(raw, limits)
    else:
        assert read_json(raw, limits) == expected


_strings = st.one_of(
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.text('ab"\\/{[,:\n\ud83d\U0001f600', max_size=5).map(json.dumps),
    st.sampled_from(
        ['"\\u0022"', '"\\ud83d"', '"\\ud83d\\ude00"', '"1234567890123456789"', '"\\/"', '"\\\\\\""', '"a"']
    ),
)
_numbers = st.one_of(
    st.integers(-(2**54), 2**54).map(str),
    st.floats().map(json.dumps),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["9007199254740991", "9007199254740992", "-9007199254740993", "1e308", "1.8e308", "1" * 400]),
)
_spaces = st.sampled_from(["", "", "", " ", "\n", "\t\r"])


def _written(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects, now and then with a member twice, and arrays, as texts."""
    member = st.tuples(_strings, _spaces, inner).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[1]}{parts[2]}")
    return st.one_of(
        st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}"),
        st.tuples(_spaces, st.lists(inner, max_size=6)).map(
            lambda parts: "[" + parts[0] + ("," + parts[0]).join(parts[1]) + parts[0] + "]"
        ),
    )


_texts = st.recursive(
    st.one_of(_strings, _numbers, st.sampled_from(["true", "false", "null"])), _written, max_leaves=20
)
_changes = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3),
        st.one_of(
            st.binary(max_size=3), st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"e"])
        ),
    ),
    max_size=3,
)


@settings(max_examples=400, deadline=None)
@given(text=_texts, limits=st.sampled_from([LIMITS, LIMITS, SMALL]))
@example(text='{"a":"\\u0022","b":"","b":""}', limits=LIMITS)
@example(text='{"a":"\\"","b":"\\u0022","b":"\\u0022"}', limits=LIMITS)
def test_what_is_refused_is_what_a_simple_reader_refuses(text: str, limits: Limits) -> None:
    _agree(text.encode("utf-8", "surrogatepass"), limits)


@settings(max_examples=400, deadline=None)
@given(text=_texts, changes=_changes)
def test_damaged_documents_are_refused_as_by_a_simple_reader(text: str, changes: list[tuple[int, int, bytes]]) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    for place, removed, added in changes:
        place = place % (len(raw) + 1)
        raw = raw[:place] + added + raw[place + removed :]
    _agree(raw, LIMITS)


@settings(max_examples=200, deadline=None)
@given(text=_texts, block=st.integers(1, 7))
def test_long_texts_are_counted_in_blocks_to_the_same_end(text: str, block: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vcon_platform.vcon.strict_json._BLOCK", block)
        patched.setattr("vcon_platform.vcon.json_faults._BLOCK", block + 3)  # a character whole
        for limits in (SMALL, LIMITS):
            _agree(text.encode("utf-8", "surrogatepass"), limits)


@pytest.mark.parametrize(
    "text",
    [
        '{"start":1700000000000000,"words":['
        + ",".join('{"start":0.3333333333333333,"confidence":1.0}' for _ in range(500))
        + "]}",
        '{"dialog":[' + ",".join('{"parties":[0,1],"body":"\\"quoted\\" \\\\"}' for _ in range(200)) + "]}",
        '{"id":"12345678901234567890","text":"in 12345678901234567890 words, [[[[","html":"\\u0022"}',
        "{" + ",".join(f'"{number}":{{}}' for number in range(200)) + "}",
    ],
)
def test_a_good_document_is_read_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcon_platform.vcon.strict_json.find", None)
    assert read_json(text.encode(), Limits(elements=700, members=1200)) == json.loads(text)


# --- time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        lambda size: b'{"a":"' + b'\\"' * (size // 2) + b'","a":1}',
        lambda size: b'{"a":"' + b"\\\\" * (size // 2) + b'","a":1}',
        lambda size: b'["' + b"\\u0022" * (size // 6) + b'", 12345678901234567]',
        lambda size: b"[" + b"1" * size + b"]",
        lambda size: b"[0." + b"1" * size + b", 12345678901234567]",
        lambda size: b"[" + b"[]," * (size // 3) + b"[]]",
        lambda size: b"[" + b"0.12345678901234567," * (size // 20) + b"nan]",
        lambda size: b"[" * size,
        lambda size: b" " * size + b"x",
        lambda size: b"{" + b",".join(b'"%d":1' % number for number in range(size // 12)) + b',"5":2}',
        lambda size: b'{"' + b"a" * size + b'":nan}',
        lambda size: b'["' + b"\\ud83d\\ude00" * (size // 12) + b"\\ud800",
    ],
)
def test_time_grows_with_the_length_only(hostile: Callable[[int], bytes]) -> None:
    def seconds(raw: bytes) -> float:
        taken = []
        for _ in range(3):
            began = time.process_time()
            with contextlib.suppress(Rejected):
                read_json(raw, LIMITS)
            taken.append(time.process_time() - began)
        return min(taken)

    short, long = seconds(hostile(100_000)), seconds(hostile(800_000))
    assert long < 40 * short + 0.05  # eight times the bytes; quadratic would be sixty-four


def test_messages_say_what_to_do() -> None:
    for raw in (b"", b"nan", b"{} {}", b"[1e999]", b"[9007199254740992]", b'{"a":1,"a":2}', b'["\x01"]'):
        assert re.search(r"; \w", _fault(raw).message) or "should" in _fault(raw).message

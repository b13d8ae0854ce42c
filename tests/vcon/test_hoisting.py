"""Finding base64 texts in a document's bytes: the same ones, whatever the blocks, and the rest untouched."""

import base64
import os
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.hoisting import Cut, Spool, hoist_bytes, hoist_stream, least_length, next_run
from vcon_platform.vcon.limits import Limits

LIMITS = Limits()


def _whole(left: bytes, cuts: list[Cut]) -> bytes:
    made, done = b"", 0
    for cut in cuts:
        text = b"".join(cut.body.text_chunks())
        assert len(text) == cut.length
        made += left[done : cut.offset] + text
        done = cut.offset
    return made + left[done:]


def _streamed(raw: bytes, step: int, least: int, limits: Limits = LIMITS) -> tuple[bytes, list[Cut]]:
    blocks = [raw[start : start + step] for start in range(0, len(raw), step)]
    return hoist_stream(blocks, least, Spool(None), limits)


@settings(max_examples=500, deadline=None)
@given(data=st.text('"ab', max_size=60).map(str.encode), least=st.integers(1, 9))
def test_the_first_long_run_between_quotes_is_found(data: bytes, least: int) -> None:
    found = re.search(rb'"(?=[^"]{%d})[^"]*(?=")' % least, data)
    start, end = next_run(data, 0, least)
    if found:
        assert (start, end) == found.span()
    else:
        assert end == -1
        assert start == (data.rfind(b'"') if b'"' in data else len(data))


_texts = st.one_of(
    st.binary(min_size=8, max_size=90).map(base64.b64encode),
    st.binary(min_size=8, max_size=90).map(base64.urlsafe_b64encode).map(lambda text: text.rstrip(b"=")),
    st.binary(min_size=8, max_size=90).map(lambda data: base64.b64encode(data).replace(b"/", b"\\/")),
    st.binary(min_size=8, max_size=90).map(lambda data: base64.b64encode(data)[:-5] + b" !!"),
    st.text("AZaz09+/-_=\\", min_size=1, max_size=90).map(str.encode),
    st.sampled_from([b"a", b"\\\\", b"\\" * 9 + b"n", b'say \\"' + b"A" * 40, b"A" * 40 + b'\\"', b"A" * 40 + b"\\/"]),
)
_documents = st.lists(st.tuples(st.sampled_from([b"", b",", b"{", b":1,", b"\\"]), _texts), max_size=6).map(
    lambda parts: b"".join(before + b'"' + text + b'"' for before, text in parts) + b"}"
)


@settings(max_examples=500, deadline=None)
@given(raw=_documents, step=st.integers(1, 60), over=st.integers(0, 40))
@example(raw=b'"' + b"A" * 30 + b"\\", step=7, over=6)
@example(raw=b'"' + b"A" * 30 + b"\\/" * 9 + b'"', step=1, over=6)
@example(raw=b'"' + b"A" * 12 + b'\\/A=="}', step=14, over=7)
@example(raw=b'"\\/AAA"}', step=2, over=0)
def test_bytes_and_streams_give_the_same_and_all_comes_back(raw: bytes, step: int, over: int) -> None:
    least = least_length(over)
    left, cuts = hoist_bytes(raw, least)
    assert _whole(left, cuts) == raw
    again, moved = _streamed(raw, step, least)
    assert _whole(again, moved) == raw
    assert again == left
    assert [cut[::2] for cut in moved] == [cut[::2] for cut in cuts]
    for one, other in zip(cuts, moved, strict=True):
        assert (one.body.token, one.body.size, one.body.head) == (other.body.token, other.body.size, other.body.head)


@pytest.mark.parametrize("backslashes", [0, 1, 2, 3, 4, 4095, 4096, 4097, 8192])
def test_text_after_an_escaped_quote_is_left_alone(backslashes: int) -> None:
    raw = b'{"a":"' + b"\\" * backslashes + b'"' + b"A" * 40 + b'"}'
    left, cuts = hoist_bytes(raw, 20)
    assert len(cuts) == (backslashes % 2 == 0)
    assert _whole(left, cuts) == raw


def test_only_texts_over_the_limit_are_taken_out() -> None:
    for size in (299, 300, 301, 303):
        raw = b'{"body":"' + base64.b64encode(os.urandom(size)) + b'"}'
        assert len(hoist_bytes(raw, least_length(300))[1]) == (size > 300)


def test_what_is_given_back_is_capped() -> None:
    raw = b'{"body":"' + b"A" * 100_000 + b'!"}'
    with pytest.raises(Rejected) as refused:
        _streamed(raw, 1000, 100, Limits(skeleton_bytes=50_000))
    assert (refused.value.status, refused.value.code) == (413, "too_large")


def test_what_is_left_is_capped() -> None:
    raw = b'{"text":"' + b"words " * 20_000 + b'"}'
    with pytest.raises(Rejected) as refused:
        _streamed(raw, 1000, 100, Limits(skeleton_bytes=50_000))
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    "hostile",
    [
        lambda size: b'"' * size,
        lambda size: b'"' + b"A" * size,
        lambda size: b'"AAAAAAAAAAAAAAAAAAA!' * (size // 21),
        lambda size: b'"' + b"A" * size + b'!"',
        lambda size: b'"' + b"\\" * size + b'"' + b"A" * 100 + b'"',
        lambda size: (b'\\"' + b"A" * 98) * (size // 100),
        lambda size: b'"' + b"\\/" * (size // 2) + b'"',
        lambda size: b"A" * size,
    ],
)
def test_time_grows_with_the_length_only(hostile: Callable[[int], bytes]) -> None:
    def seconds(raw: bytes) -> float:
        taken = []
        for _ in range(3):
            began = time.process_time()
            _streamed(raw, 10_000, 50)
            hoist_bytes(raw, 50)
            taken.append(time.process_time() - began)
        return min(taken)

    short, long = seconds(hostile(200_000)), seconds(hostile(1_600_000))
    assert long < 40 * short + 0.05  # eight times the bytes; quadratic would be sixty-four

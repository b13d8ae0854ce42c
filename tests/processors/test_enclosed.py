"""A vCon within an effect: whole again when it is sent, and the same only where it says the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.support import MediaInMemory, document
from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import PermanentError, TransientError
from vcon_platform.processors.enclosed import body_of, digest, pack, unpack, written
from vcon_platform.vcon.media import content_hash_of, encode_base64url

SOUND = b"RIFF" + bytes(range(256)) * 8
TOKEN = content_hash_of(SOUND)
URL = f"vcon-media:{TOKEN}"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def beside() -> dict[str, Any]:
    """A vCon whose recording stands beside it."""
    return document(dialog=[{"type": "recording", "parties": [0, 1], "url": URL, "content_hash": TOKEN}])


def sent(data: dict[str, Any], bodies: Any = "inline", **how: Any) -> Any:
    return orjson.loads(written(data, MediaInMemory({URL: SOUND}), version="0.4.0", bodies=bodies, **how))


@settings(max_examples=40)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_what_is_packed_comes_back(data: dict[str, Any]) -> None:
    assert unpack(pack(data)) == data


def test_what_is_packed_is_smaller() -> None:
    said = [{"speaker": n % 2, "message": f"This is what was said in turn {n} of a long call."} for n in range(200)]
    assert len(pack({"analysis": said})) < len(orjson.dumps(said)) / 3


def test_a_recording_that_stands_beside_goes_along() -> None:
    [dialog] = sent(beside())["dialog"]
    assert (dialog["body"], dialog["encoding"]) == (encode_base64url(SOUND), "base64url")


def test_no_reference_into_the_media_store_goes_out() -> None:
    data = {**beside(), "attachments": [{"purpose": "notes", "url": URL, "content_hash": TOKEN}]}
    assert b"vcon-media" not in written(data, MediaInMemory({URL: SOUND}), version="0.4.0", bodies="none")


def test_without_recordings_their_hash_is_told() -> None:
    [dialog] = sent(beside(), "none")["dialog"]
    assert dialog == {"type": "recording", "parties": [0, 1], "content_hash": TOKEN}


def test_without_recordings_those_within_are_left_out_too() -> None:
    data = document(dialog=[{"type": "text", "body": "hello", "encoding": "none"}])
    assert sent(data, "none")["dialog"] == [{"type": "text"}]


def test_a_url_outside_is_neither_fetched_nor_taken_out() -> None:
    outside = {"type": "recording", "url": "https://example.com/a.wav", "content_hash": TOKEN}
    assert sent(document(dialog=[outside]), "none")["dialog"] == [outside]


def test_the_document_in_hand_stays_as_it_is() -> None:
    data = beside()
    sent(data)
    assert data == beside()


def test_what_would_be_too_large_is_not_sent() -> None:
    with pytest.raises(PermanentError, match="media: none"):
        sent(beside(), most=1000)


def test_a_store_that_is_away_is_asked_again_later() -> None:
    class Away(MediaInMemory):
        def body(self, entry: Any) -> bytes:
            error = PlatformError("the object store is away")
            error.transient = True
            raise error

    with pytest.raises(TransientError, match="/dialog/0"):
        body_of({}, Away(), "/dialog/0")


def test_a_body_that_is_gone_is_a_lasting_fault() -> None:
    with pytest.raises(PermanentError, match=r"/dialog/0: .*not in the media store"):
        written(beside(), MediaInMemory(), version="0.4.0", bodies="inline")


def test_moments_at_which_something_was_written_down_make_no_other_document() -> None:
    first = document(analysis=[{"type": "summary", "body": "x", "processed_at": "2026-09-01T12:00:00Z"}])
    second = document(
        updated_at="2026-09-02T12:00:00Z",
        analysis=[{"type": "summary", "body": "x", "processed_at": "2026-09-02T12:00:00Z"}],
        attachments=[{"purpose": "projection", "body": {"verdict": "done"}}],
    )
    assert digest(first) == digest(second)


def test_what_was_said_makes_another_document() -> None:
    assert digest(document(analysis=[{"body": "x"}])) != digest(document(analysis=[{"body": "y"}]))

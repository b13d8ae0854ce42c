"""What is shown of personal data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.projections.errors import RowError
from vcon_platform.projections.masking import KEY_FILE, key_of, masked

KEY = b"a key"


def test_a_hash_is_the_same_for_the_same_value_and_key_only() -> None:
    shown = masked("+4930123456", "hash", KEY)
    assert shown == masked("+4930123456", "hash", KEY)
    assert shown not in (masked("+4930123457", "hash", KEY), masked("+4930123456", "hash", b"another"))
    assert shown is not None
    assert len(shown) == 64
    assert set(shown) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+49 30 123456", "+** ** ***456"),
        ("1042", "****"),
        ("ada.kunde@example.org", "a***@example.org"),
        ("Ada Kunde", "A*** K***"),
        ("@home", "@h***"),
        ("", ""),
        (1042, "****"),
    ],
)
def test_in_part_nobody_is_recognised(value: object, shown: str) -> None:
    assert masked(value, "partial", KEY) == shown


@pytest.mark.parametrize("mask", ["hash", "partial", "drop"])
def test_nothing_stays_nothing(mask: str) -> None:
    assert masked(None, mask, KEY) is None  # type: ignore[arg-type]


def test_what_is_dropped_is_gone() -> None:
    assert masked("Ada", "drop", KEY) is None


@settings(max_examples=50)
@given(st.text())
def test_no_text_is_too_strange_to_be_masked(text: str) -> None:
    assert isinstance(masked(text, "hash", KEY), str)
    assert isinstance(masked(text, "partial", KEY), str)


def test_the_installations_key_is_made_once_and_nobody_else_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path))
    made = key_of("")
    file = tmp_path / "secrets" / KEY_FILE
    assert key_of("") == made == file.read_text().strip().encode()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_projection_may_name_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_PII_SALES", "theirs")
    assert key_of("env:VCON_PII_SALES") == b"theirs"
    monkeypatch.delenv("VCON_PII_SALES")
    with pytest.raises(RowError, match="VCON_PII_SALES is not set"):
        key_of("env:VCON_PII_SALES")

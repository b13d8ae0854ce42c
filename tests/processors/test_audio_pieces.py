"""Cutting: in the quiet, without loss, in little memory."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.processors.support import TWO_CHANNELS, encoded
from vcon_platform.processors.audio import SAMPLE_RATE, AudioError, decode, survey
from vcon_platform.processors.audio_pieces import AudioPiece, flac, pieces


def cut(data: bytes, longest: float, search: float, *, mix: bool = False) -> list[AudioPiece]:
    return list(pieces(data, survey(data), longest=longest, search=search, mix=mix))


def wave(*channels: NDArray[np.int16]) -> bytes:
    return encoded(np.column_stack(channels), SAMPLE_RATE, "WAV", "PCM_16")


def loud(seconds: float, *quiet: float) -> NDArray[np.int16]:
    """Sound, with a fifth of a second of silence at each of these seconds."""
    samples = np.random.default_rng(1).integers(800, 1_200, int(seconds * SAMPLE_RATE)).astype(np.int16)
    for second in quiet:
        samples[int(second * SAMPLE_RATE) : int(second * SAMPLE_RATE) + SAMPLE_RATE // 5] = 0
    return samples


def test_a_long_channel_is_cut_where_it_is_quiet() -> None:
    first, second, *_ = cut(wave(loud(10, 3)), 4, 2)
    assert second.start == pytest.approx(3.1, abs=0.11)
    assert first.end == second.start


def test_each_channel_is_cut_at_a_place_of_its_own() -> None:
    found = cut(wave(loud(6, 2.5), loud(6, 3.4)[::-1]), 4, 3)
    starts = [[piece.start for piece in found if piece.channel == channel] for channel in (0, 1)]
    assert starts[0][1] == pytest.approx(2.6, abs=0.11)
    assert starts[1][1] == pytest.approx(6 - 3.5, abs=0.11)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90_000), st.floats(0.5, 3), st.floats(0.1, 5), st.integers(1, 2))
def test_joined_the_pieces_are_the_recording(length: int, longest: float, search: float, count: int) -> None:
    dice = np.random.default_rng(length)
    sound = [dice.integers(-3_000, 3_000, length).astype(np.int16) for _ in range(count)]
    found = cut(wave(*sound), longest, search)
    for channel, samples in enumerate(sound):
        mine = [piece for piece in found if piece.channel == channel]
        assert np.array_equal(np.concatenate([piece.samples for piece in mine]), samples)
        assert all(len(piece.samples) <= longest * SAMPLE_RATE for piece in mine)
        assert [piece.first for piece in mine[1:]] == list(np.cumsum([len(piece.samples) for piece in mine[:-1]]))


def test_an_empty_recording_has_no_pieces() -> None:
    assert cut(encoded(np.zeros(0), 8_000), 4, 2) == []


def test_a_silent_piece_says_so() -> None:
    assert [piece.silent for piece in cut(wave(np.zeros(99, np.int16), loud(1)[:99]), 4, 2)] == [True, False]


def test_two_channels_of_one_sound_are_cut_once() -> None:
    sound = loud(3)
    assert {piece.channel for piece in cut(wave(sound, sound), 4, 2)} == {0}


def test_mixed_channels_are_one_and_nobody_gets_quieter() -> None:
    left, right = np.full(SAMPLE_RATE, 1_000, np.int16), np.zeros(SAMPLE_RATE, np.int16)
    (piece,) = cut(wave(left, right), 4, 2, mix=True)
    assert set(piece.samples) == {1_000}
    (full,) = cut(wave(np.full(99, 30_000, np.int16), np.full(99, 20_000, np.int16)), 4, 2, mix=True)
    assert set(full.samples) == {32_767}


def test_a_survey_says_what_decoding_says() -> None:
    data = TWO_CHANNELS.read_bytes()
    whole, known = decode(data), survey(data)
    assert (known.channels, known.duration) == (len(whole.channels), whole.duration)


def test_damage_is_told_by_a_survey_too() -> None:
    with pytest.raises(AudioError):
        survey(b"ID3 broken beyond repair")


def test_a_piece_as_a_file_is_the_same_sound_in_fewer_bytes() -> None:
    samples = decode(TWO_CHANNELS.read_bytes()).channels[0]
    data = flac(samples)
    read, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == SAMPLE_RATE
    assert np.array_equal(read, samples)
    assert len(data) < samples.nbytes

"""Decoding: every kind of recording a switch writes, and everything that only claims to be one."""

import random
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processors.support import TWO_CHANNELS, WHICH_PRODUCT, encoded, m4a, sound
from vcon_platform.processors.audio import SAMPLE_RATE, AudioError, decode
from vcon_platform.vcon.probe import demuxer

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("WAV", "GSM610"),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
        ("AU", "ULAW"),
        ("AIFF", "PCM_16"),
    ],
)
def test_the_kinds_that_switches_write_are_decoded_to_16_khz(kind: str, subtype: str | None) -> None:
    samples, _ = sound(TWO_CHANNELS)
    audio = decode(encoded(samples[:, 0], 8_000, kind, subtype))
    assert len(audio.channels) == 1
    assert audio.duration == pytest.approx(len(samples) / 8_000, abs=0.15)
    assert len(audio.channels[0]) == pytest.approx(audio.duration * SAMPLE_RATE)
    assert np.abs(audio.channels[0]).max() > 3_000  # speech, not silence


def test_m4a_is_decoded() -> None:
    samples, rate = sound(seconds=2)
    assert decode(m4a(samples, rate)).duration == pytest.approx(2, abs=0.15)


def test_two_channels_stay_two() -> None:
    left, right = decode(TWO_CHANNELS.read_bytes()).channels
    assert len(left) == len(right)
    agent_speaks = slice(1 * SAMPLE_RATE, 2 * SAMPLE_RATE)
    assert np.abs(left[agent_speaks]).mean() > 20 * np.abs(right[agent_speaks]).mean()


def test_a_mono_call_saved_as_stereo_is_one_channel() -> None:
    samples, rate = sound(seconds=2)
    assert len(decode(encoded(np.column_stack([samples, samples]), rate)).channels) == 1


def test_a_recording_that_breaks_off_is_decoded_up_to_there() -> None:
    data = WHICH_PRODUCT.read_bytes()
    assert 3 < decode(data[: len(data) // 2]).duration < 5


def test_a_recording_without_a_single_sample_is_zero_seconds_long() -> None:
    assert decode(encoded(np.zeros(0), 8_000)).duration == 0


def _noise(size: int = 50_000) -> bytes:
    return random.Random(1).randbytes(size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"this is not audio at all",
        PLAYLIST,
        b"ID3" + PLAYLIST,
        b"RIFF\x00\x00\x00\x00WAVE" + PLAYLIST,
        _noise(),
        b"ID3" + _noise(),
        b"\xff\xfb" + _noise(),
        b"RIFF\x00\x00\x00\x00WAVE" + _noise(),
        b"OggS" + _noise(),
        b"fLaC" + _noise(),
        b"\x00\x00\x00\x20ftypM4A " + _noise(),
        b"\x1a\x45\xdf\xa3" + _noise(),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_audio_is_refused_with_a_short_reason_of_ours(data: bytes) -> None:
    with pytest.raises(AudioError) as refused:
        decode(data)
    assert 0 < len(str(refused.value)) < 120
    assert "<" not in str(refused.value)  # FFmpeg's "<none>" and object names
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_playlist_has_no_kind_whatever_it_is_called() -> None:
    assert demuxer(PLAYLIST[:16]) is None


def test_longer_audio_than_allowed_is_refused_by_what_is_decoded() -> None:
    with pytest.raises(AudioError, match="longer than"):
        decode(encoded(np.zeros(3 * 8_000), 8_000), max_seconds=2)


def test_more_channels_than_two_are_refused() -> None:
    with pytest.raises(AudioError, match="3 channels"):
        decode(encoded(np.zeros((8_000, 3)), 8_000))


def test_a_sample_rate_that_would_blow_a_small_file_up_is_refused() -> None:
    with pytest.raises(AudioError, match="sample rate"):
        decode(encoded(np.zeros(4_000), 10))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 400), st.sampled_from(["mp3", "wav", "gsm", "ogg", "m4a"]))
def test_damage_anywhere_gives_audio_or_a_reason(seed: int, hits: int, kind: str) -> None:
    damaged = bytearray(_example(kind))
    dice = random.Random(seed)
    for _ in range(hits):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    with suppress(AudioError):  # anything else that is raised fails the test
        assert decode(bytes(damaged), max_seconds=60).duration <= 60


_EXAMPLES: dict[str, bytes] = {}


def _example(kind: str) -> bytes:
    if not _EXAMPLES:
        samples, rate = sound(seconds=1)
        _EXAMPLES.update(
            mp3=WHICH_PRODUCT.read_bytes()[:8_000],
            wav=encoded(samples, rate),
            gsm=encoded(samples, rate, "WAV", "GSM610"),
            ogg=encoded(samples, rate, "OGG"),
            m4a=m4a(samples, rate),
        )
    return _EXAMPLES[kind]

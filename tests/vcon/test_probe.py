"""Probing: every kind of recording says how long it is, and what only claims to be one hurts nobody."""

import base64
import io
import json
import os
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.support import TWO_CHANNELS, encoded, m4a, sound
from vcon_platform.errors import PlatformError
from vcon_platform.vcon import probe as module
from vcon_platform.vcon.probe import Probe, ProbeLimits, Undecodable, demuxer, probe
from vcon_platform.vcon.wav import read_wav

DATA = Path(__file__).parents[1] / "data"
GSM = DATA / "audio/gsm610.wav"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"


def wav(samples: bytes, claimed: int | None = None, *, tag: int = 1, bits: int = 16, rate: int = 8_000) -> bytes:
    block = bits // 8
    form = struct.pack("<HHIIHH", tag, 1, rate, rate * block, block, bits)
    size = len(samples) if claimed is None else claimed
    data = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF if claimed else len(data)) + data


# --- what it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("audio/gsm610.wav", Probe("audio/x-wav", 4.72, 1, 8_000, "gsm_ms")),
        ("audio/human_call.mp3", Probe("audio/mpeg", 33.12, 1, 8_000, "mp3")),
        ("audio/mulaw_cut_short.wav", Probe("audio/x-wav", 4.993, 1, 8_000, "pcm_mulaw")),
        ("two_channels.mp3", Probe("audio/mpeg", 15.192, 2, 8_000, "mp3")),
    ],
)
def test_a_recording_says_what_it_is(path: str, found: Probe) -> None:
    assert probe(DATA / path) == found


@pytest.mark.parametrize(
    ("kind", "subtype", "mediatype", "codec"),
    [
        ("WAV", "FLOAT", "audio/x-wav", "pcm_f32le"),
        ("WAV", "ALAW", "audio/x-wav", "pcm_alaw"),
        ("WAV", "IMA_ADPCM", "audio/x-wav", "adpcm_ima_wav"),
        ("FLAC", None, "audio/flac", "flac"),
        ("OGG", "VORBIS", "audio/ogg", "vorbis"),
        ("OGG", "OPUS", "audio/ogg", "opus"),
        ("AU", "ULAW", "audio/basic", "pcm_mulaw"),
        ("AIFF", "PCM_16", "audio/aiff", "pcm_s16be"),
    ],
)
def test_the_kinds_that_switches_write_are_probed(kind: str, subtype: str | None, mediatype: str, codec: str) -> None:
    samples, _ = sound(TWO_CHANNELS, seconds=3)
    found = probe(encoded(samples[:, 0], 8_000, kind, subtype))
    assert (found.mediatype, found.channels, found.codec) == (mediatype, 1, codec)
    assert found.duration == pytest.approx(3, abs=0.15)


def test_m4a_is_probed() -> None:
    samples, rate = sound(seconds=2)
    found = probe(m4a(samples, rate))
    assert (found.mediatype, found.codec) == ("audio/mp4", "aac")
    assert found.duration == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(
    ("claimed", "mediatype"),
    [
        ("audio/wav", "audio/wav"),
        ("Audio/Wave; codecs=1", "audio/wave"),
        ("audio/x-mp3", "audio/x-wav"),
        ("text/html\r\nX: y", "audio/x-wav"),
        (None, "audio/x-wav"),
    ],
)
def test_a_claimed_type_is_kept_only_where_it_is_a_name_of_the_same_thing(claimed: str | None, mediatype: str) -> None:
    assert probe(GSM, mediatype=claimed).mediatype == mediatype


def test_bytes_paths_and_open_files_give_the_same_and_an_open_file_stays_where_it_stood() -> None:
    path = DATA / "audio/human_call.mp3"
    expected = probe(path)
    with path.open("rb") as file, tempfile.SpooledTemporaryFile(max_size=1 << 20) as spooled:
        spooled.write(path.read_bytes())
        for source in (file, io.BytesIO(path.read_bytes()), spooled):
            source.seek(7)
            assert probe(source) == expected  # type: ignore[arg-type]
            assert source.tell() == 7
    assert probe(path.read_bytes()) == expected


# --- what it is not --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0xFFFFFFF0, 0])
def test_a_wav_that_claims_4_gb_is_as_long_as_its_bytes(claimed: int) -> None:
    assert probe(wav(bytes(32_000), claimed)).duration == 2.0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (PLAYLIST, "first bytes"),
        (b"<?xml version='1.0'?><MPD/>", "first bytes"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "first bytes"),
        (b"plain text", "first bytes"),
        (b"ID3" + PLAYLIST, "damaged|decode"),
        (b"OggS" + bytes(5_000), "damaged|decode"),
        (b"\0\0\0\x18ftypM4A " + PLAYLIST * 50, "damaged|decode"),
        (b"\x1aE\xdf\xa3" + bytes(range(256)) * 20, "damaged|decode"),
        (b"fLaC" + bytes(200), "damaged|decode|no sound"),
        (b"RIFF\xff\xff\xff\xffWAVE", "damaged|decode"),
        (wav(b"", 0xFFFFFFFF), "no samples"),
        (wav(bytes(100), rate=3), "sample rate"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        probe(data)


def test_the_playlist_of_the_hostile_set_never_reaches_a_demuxer(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads((DATA / "hostile/38_hls_playlist_as_audio.json").read_text())
    body = base64.urlsafe_b64decode(document["dialog"][0]["body"] + "==")
    monkeypatch.setattr(module, "_ask", lambda *_: pytest.fail("a child was started"))
    with pytest.raises(Undecodable):
        probe(body, mediatype=document["dialog"][0]["mediatype"])


def test_even_a_demuxer_of_playlists_can_open_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(bytes(32_000)))
    for kind, text in (
        ("concat", f"ffconcat version 1.0\nfile '{secret}'\n"),
        ("hls", f"#EXTM3U\n#EXTINF:1,\n{secret}\n"),
    ):
        answer = module._ask(io.BytesIO(text.encode()), kind, 30, ProbeLimits())
        assert answer == {"error": "damaged"}


def test_a_recording_that_takes_too_long_is_given_up() -> None:
    begin = time.monotonic()
    with pytest.raises(Undecodable, match="longer than"):
        probe(DATA / "two_channels.mp3", timeout=0.001)
    assert time.monotonic() - begin < 20


def test_a_child_without_enough_memory_gives_no_answer() -> None:
    with pytest.raises(PlatformError):
        probe(DATA / "two_channels.mp3", limits=ProbeLimits(memory=64 << 20))


def test_a_recording_over_the_limit_is_not_opened() -> None:
    with pytest.raises(Undecodable, match="larger than 0 MB"):
        probe(DATA / "two_channels.mp3", limits=ProbeLimits(size=10_000))


def test_no_descriptor_and_no_child_is_left_over() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        probe(DATA / "two_channels.mp3")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("said", [b"", b"[]", b"5", b'{"duration": "1"}', b'{"duration": true}', b"x" * 1024, b"null"])
def test_a_child_that_was_taken_over_is_not_believed(said: bytes) -> None:
    with pytest.raises(Undecodable):
        module._believable(said)


def test_the_demuxer_is_told_by_the_first_bytes() -> None:
    assert demuxer(GSM.read_bytes()[:16]) == "wav"
    assert demuxer(PLAYLIST) is None
    assert set(module.DEMUXERS.values()).isdisjoint({"hls", "concat", "dash", "sdp", "rtsp", "image2", "lavfi"})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 120))
def test_no_wav_header_raises_and_none_lasts_longer_than_its_bytes(noise: bytes, place: int) -> None:
    data = bytearray(wav(bytes(64)))
    data[place : place + len(noise)] = noise
    found = read_wav(io.BytesIO(bytes(data)), len(data))
    assert found is None or 0 <= found.duration <= len(data) * 8 / 1_000


def test_the_length_of_a_wav_is_that_of_its_samples() -> None:
    samples = np.zeros(12_345)
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"):
        data = encoded(samples, 16_000, "WAV", subtype)
        found = read_wav(io.BytesIO(data), len(data))
        assert found is not None
        assert found.duration == 12_345 / 16_000

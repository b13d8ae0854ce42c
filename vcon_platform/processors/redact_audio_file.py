"""A recording written again with stretches of it silenced or covered by a tone.

Belongs here: decoding, covering, encoding in the kind the source had. Not here: which stretches (``redact_audio.py``),
what is read and its limits (``audio.py``).

The recording is decoded the way it is decoded for transcription, so that a second here is the same second there, also
where it is damaged. All channels are covered: what one telephone hears of the other would tell it all the same. A new
file is written from samples alone, so nothing of the old one's tags, pictures or chunks can be in it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vcon_platform.processors.audio import AudioError, blocks_as_recorded
from vcon_platform.vcon.media import sniff
from vcon_platform.vcon.wav import read_wav

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Cover = Literal["tone", "silence"]
Stretch = tuple[float, float]
"""(begin, end) in seconds from the start of the recording; an end of infinity: to its end."""

_TONE_HZ = 1_000.0
_LOUDNESS = 0.1
_WAV = {
    "pcm_u8": "PCM_U8",
    "pcm_s16le": "PCM_16",
    "pcm_s24le": "PCM_24",
    "pcm_s32le": "PCM_32",
    "pcm_f32le": "FLOAT",
    "pcm_f64le": "DOUBLE",
    "pcm_alaw": "ALAW",
    "pcm_mulaw": "ULAW",
    "gsm_ms": "GSM610",
}
_OPUS_RATES = frozenset({8_000, 12_000, 16_000, 24_000, 48_000})
_MP3_RATES = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})


@dataclass(frozen=True, slots=True)
class Redacted:
    """The new file. ``duration`` is the recording's in seconds, which covering does not change."""

    data: bytes
    mediatype: str
    duration: float


@dataclass(frozen=True, slots=True)
class _Kind:
    """How soundfile is told a format; ``form`` "m4a" is written by FFmpeg's AAC."""

    form: str
    subtype: str | None
    mediatype: str


def redacted_file(recording: bytes, stretches: Iterable[Stretch], cover: Cover) -> Redacted:
    """The recording with the stretches covered on all channels. Its kind and sample rate are kept where that kind can
    be written: WAV with its codec, MP3, Ogg with Opus or Vorbis, FLAC, M4A, AU, AIFF; any other becomes Ogg Opus, or
    FLAC where Opus does not know the rate. The whole sound is decoded and encoded block by block.

    Raises :class:`AudioError` for what cannot be decoded.
    """
    wanted = joined(stretches)
    out = io.BytesIO()
    done = 0
    rate = 0
    writer: Any = None
    kind = _Kind("", None, "")
    try:
        for rate, block in blocks_as_recorded(recording):
            if writer is None:
                kind = _kind(recording, rate)
                writer = _writer(kind, out, rate, len(block))
            writer.write(_covered(block, done, rate, wanted, cover))
            done += len(block[0])
    finally:
        if writer is not None:
            writer.close()
    if not done:
        raise AudioError("it holds no sound")
    return Redacted(out.getvalue(), kind.mediatype, done / rate)


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The stretches in order; those that overlap or touch are one."""
    found: list[Stretch] = []
    for begin, end in sorted((max(0.0, min(each)), max(each)) for each in stretches):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _covered(
    block: Sequence[NDArray[np.int16]], offset: int, rate: int, stretches: Sequence[Stretch], cover: Cover
) -> NDArray[np.int16]:
    """The block as samples by channels, covered where it lies within a stretch; ``offset``: its first sample."""
    import numpy as np

    samples = np.stack(block, axis=1).astype(np.int16)
    length = len(samples)
    for begin, end in stretches:
        first = math.floor(begin * rate) - offset
        last = length if math.isinf(end) else math.ceil(end * rate) - offset
        first, last = max(0, first), min(length, last)
        if first >= last:
            continue
        if cover == "tone":
            phase = 2 * np.pi * _TONE_HZ / rate * np.arange(offset + first, offset + last)
            samples[first:last] = (np.sin(phase) * (_LOUDNESS * 32_767)).astype(np.int16)[:, None]
        else:
            samples[first:last] = 0
    return samples


def _kind(recording: bytes, rate: int) -> _Kind:
    found = sniff(recording[:16])
    if found == "audio/x-wav":
        wav = read_wav(io.BytesIO(recording), len(recording))
        return _Kind("WAV", _WAV.get(wav.codec if wav else "", "PCM_16"), found)
    if found == "audio/mpeg" and rate in _MP3_RATES:
        return _Kind("MP3", "MPEG_LAYER_III", found)
    if found == "audio/flac":
        return _Kind("FLAC", "PCM_16", found)
    if found == "audio/basic":
        return _Kind("AU", "ULAW" if recording[12:16] == b"\0\0\0\1" else "PCM_16", found)
    if found == "audio/aiff":
        return _Kind("AIFF", "PCM_16", found)
    if found == "audio/mp4":
        return _Kind("m4a", None, found)
    if found == "audio/ogg" and b"OpusHead" not in recording[:256]:
        return _Kind("OGG", "VORBIS", found)
    return _Kind("OGG", "OPUS", "audio/ogg") if rate in _OPUS_RATES else _Kind("FLAC", "PCM_16", "audio/flac")


def _writer(kind: _Kind, out: io.BytesIO, rate: int, channels: int) -> Any:
    if kind.form == "m4a":
        return _Aac(out, rate, channels)
    import soundfile

    return soundfile.SoundFile(out, "w", rate, channels, kind.subtype, format=kind.form)


class _Aac:
    """AAC in MP4, which soundfile does not write."""

    def __init__(self, out: io.BytesIO, rate: int, channels: int) -> None:
        import av

        layout = "stereo" if channels == 2 else "mono"
        self._rate, self._layout, self._written = rate, layout, 0
        self._container = av.open(out, "w", format="ipod")
        self._stream: Any = self._container.add_stream("aac", rate=rate, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)

    def write(self, samples: NDArray[np.int16]) -> None:
        """Samples by channels."""
        import av
        import numpy as np

        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._written
        self._written += len(samples)
        for ready in self._resampler.resample(frame):
            self._mux(ready)

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Write what is left, and the file's end."""
        self._mux(None)
        self._container.close()

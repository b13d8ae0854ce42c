"""Recorded bytes become samples: 16 kHz, 16 bit, one array per channel.

Belongs here: which kinds of recording are read, the limits, and one sentence for everything that can be wrong with
one. Not here: which demuxer reads which first bytes (``vcon/probe.py``), what is said in it (``speech.py``), or whose
channel is whose (``transcribe.py``).

Recordings come from outside, so nothing about them is believed. The kind is told by the first bytes and the demuxer
of exactly that kind is used, never FFmpeg's guess: a playlist that calls itself audio would otherwise make FFmpeg
open the files and addresses it names. Length and channels are counted while decoding, because a header may lie.
FFmpeg's own messages stay inside: they hold addresses and stack talk, and help nobody who reads the ledger.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.probe import demuxer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second after decoding: what Whisper was trained on."""

MAX_BYTES = 512 * 1024 * 1024
"""Largest recording read. A stereo hour of 8 kHz G.711 has 58 MB."""

MAX_SECONDS = 4 * 3600.0
"""Longest recording read. Four stereo hours are 0.9 GB of samples: the memory one conversation may cost."""

MAX_CHANNELS = 2
"""Most channels read. More would need more memory than ``MAX_SECONDS`` promises."""


class AudioError(PlatformError):
    """These bytes cannot be decoded as audio. ``str(error)`` is the reason: part of a sentence, no personal data."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Decoded audio. ``channels`` are int16 arrays of one length at 16 kHz; two channels that carry the same sound
    (a mono call that was saved as stereo) are one."""

    channels: tuple[NDArray[np.int16], ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.channels[0]) / SAMPLE_RATE


def decode(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Audio:
    """Decode a recording: WAV (also G.711 and GSM), MP3, Ogg, FLAC, M4A/MP4, WebM, AMR, AU, AIFF.

    A recording that breaks off is decoded up to there. Raises :class:`AudioError` for everything that is not
    audio, or more of it than is read.
    """
    if not data:
        raise AudioError("it is empty")
    if len(data) > MAX_BYTES:
        raise AudioError(f"it is larger than {MAX_BYTES // 1024**2} MB")
    kind = demuxer(data[:16])
    if kind is None:
        raise AudioError("its first bytes are those of no audio format that is read here")
    try:
        return _decode(data, kind, max_seconds)
    except AudioError:
        raise
    except Exception:  # whatever FFmpeg's binding raises: nothing of it is fit to be shown
        raise AudioError(f"its first bytes say {kind}, but what follows is damaged") from None


def _decode(data: bytes, kind: str, max_seconds: float) -> Audio:
    import av
    import numpy as np

    # The samples come from memory, so no protocol is needed and none is allowed: not even a container that
    # points elsewhere can make FFmpeg open anything.
    with av.open(
        io.BytesIO(data), mode="r", format=kind, metadata_errors="ignore", options={"protocol_whitelist": "none"}
    ) as container:
        if not container.streams.audio:
            raise AudioError("it holds no sound track")
        stream = container.streams.audio[0]
        count = stream.codec_context.layout.nb_channels
        rate = stream.codec_context.sample_rate
        if not 1 <= count <= MAX_CHANNELS:
            raise AudioError(f"it has {count} channels; at most {MAX_CHANNELS} are read")
        if not 4_000 <= rate <= 384_000:
            raise AudioError(f"its sample rate of {rate} Hz is not one of speech")
        resampler = av.AudioResampler(format="s16p", layout="stereo" if count == 2 else "mono", rate=SAMPLE_RATE)
        buffers = [bytearray() for _ in range(count)]
        limit = int(max_seconds * SAMPLE_RATE) * 2
        for frame in _resampled(container, stream, resampler):
            for buffer, samples in zip(buffers, frame.to_ndarray(), strict=True):
                buffer += samples.tobytes()
            if len(buffers[0]) > limit:
                raise AudioError(f"it is longer than {max_seconds / 3600:g} hours")
    channels = tuple(np.frombuffer(buffer, dtype=np.int16) for buffer in buffers)
    return Audio(channels[:1] if count == 2 and _same_sound(*channels) else channels)


def _resampled(container: Any, stream: Any, resampler: Any) -> Iterator[Any]:
    """The stream's frames at 16 kHz. Packets that do not decode are passed over, as every player does, unless
    they are the greater part: then the recording is noise, and a transcript of noise would be invented."""
    from av.error import InvalidDataError

    good = bad = 0
    packets = iter(container.demux(stream))
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except InvalidDataError:
            bad += 1
            if bad > good + 1_000:
                break
            continue
        good += 1
        for frame in frames:
            frame.pts = None  # broken time stamps would make the resampler invent silence
            yield from resampler.resample(frame)
    if bad > good:
        raise AudioError("most of it does not decode")
    yield from resampler.resample(None)


def _same_sound(left: NDArray[np.int16], right: NDArray[np.int16]) -> bool:
    """True if both channels carry one signal, up to what a lossy codec changes (2 % of the loudness)."""
    import numpy as np

    difference = loudness = 0
    for start in range(0, len(left), 1 << 20):  # in pieces: the wider integers need four times the memory
        a = left[start : start + (1 << 20)].astype(np.int32)
        b = right[start : start + (1 << 20)].astype(np.int32)
        difference += int(np.abs(a - b).sum())
        loudness += int(np.abs(a).sum() + np.abs(b).sum()) // 2
    return difference * 50 <= loudness

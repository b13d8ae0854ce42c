"""Recorded bytes become samples: 16 kHz, 16 bit, one array per channel.

Belongs here: which kinds of recording are read, the limits, and one sentence for everything that can be wrong with
one. Not here: which demuxer reads which first bytes (``vcon/probe.py``), cutting into pieces (``audio_pieces.py``),
what is said in it (``speech.py``), or whose channel is whose (``speech_voices.py``).

A recording is decoded block by block: whoever listens to it piece by piece needs memory for a piece, not for four
hours. What must be known of the whole beforehand (how long it is, whether two channels carry one sound) costs a pass
of its own, :func:`survey`, a hundredth of what listening costs.

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
"""Longest recording read. Decoded at once, four stereo hours are 0.9 GB of samples; in pieces they are none."""

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


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a recording once all of it was decoded: ``channels`` that differ, ``duration`` in seconds."""

    channels: int
    duration: float


def decode(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Audio:
    """Decode a recording at once: WAV (also G.711 and GSM), MP3, Ogg, FLAC, M4A/MP4, WebM, AMR, AU, AIFF.

    A recording that breaks off is decoded up to there. Raises :class:`AudioError` for everything that is not
    audio, or more of it than is read.
    """
    import numpy as np

    buffers: list[bytearray] = []
    comparison = _Comparison()
    for block in blocks(data, max_seconds=max_seconds):
        buffers = buffers or [bytearray() for _ in block]
        comparison.add(block)
        for buffer, samples in zip(buffers, block, strict=True):
            buffer += samples.tobytes()
    channels = tuple(np.frombuffer(buffer, dtype=np.int16) for buffer in buffers or [bytearray()])
    return Audio(channels[:1] if comparison.same else channels)


def survey(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Sound:
    """Decode a recording and keep nothing of it but what it is. Raises :class:`AudioError` as :func:`decode` does."""
    comparison, count, length = _Comparison(), 1, 0
    for block in blocks(data, max_seconds=max_seconds):
        comparison.add(block)
        count, length = len(block), length + len(block[0])
    return Sound(1 if comparison.same else count, length / SAMPLE_RATE)


def blocks(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Iterator[tuple[NDArray[np.int16], ...]]:
    """The recording's samples in order, a few thousand at a time, one array per channel of the file. Raises
    :class:`AudioError` as :func:`decode` does, at the latest when all has been taken."""
    yield from _checked(data, SAMPLE_RATE, max_seconds)


def blocks_as_recorded(
    data: bytes, *, max_seconds: float = MAX_SECONDS
) -> Iterator[tuple[int, tuple[NDArray[np.int16], ...]]]:
    """As :func:`blocks`, at the recording's own sample rate, which stands before each block: for who writes it again.
    A moment is at the same second as in :func:`blocks`, also where the recording is damaged."""
    rates: list[int] = []
    for block in _checked(data, None, max_seconds, rates):
        yield rates[0], block


def _checked(
    data: bytes, rate: int | None, max_seconds: float, rates: list[int] | None = None
) -> Iterator[tuple[NDArray[np.int16], ...]]:
    if not data:
        raise AudioError("it is empty")
    if len(data) > MAX_BYTES:
        raise AudioError(f"it is larger than {MAX_BYTES // 1024**2} MB")
    kind = demuxer(data[:16])
    if kind is None:
        raise AudioError("its first bytes are those of no audio format that is read here")
    try:
        yield from _decoded(data, kind, rate, max_seconds, [] if rates is None else rates)
    except AudioError:
        raise
    except Exception:  # whatever FFmpeg's binding raises: nothing of it is fit to be shown
        raise AudioError(f"its first bytes say {kind}, but what follows is damaged") from None


def _decoded(
    data: bytes, kind: str, wanted: int | None, max_seconds: float, rates: list[int]
) -> Iterator[tuple[NDArray[np.int16], ...]]:
    """``wanted``: samples a second; None: as many as the recording has. ``rates`` is told them before the first
    block."""
    import av

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
        rate = wanted or rate
        rates.append(rate)
        resampler = av.AudioResampler(format="s16p", layout="stereo" if count == 2 else "mono", rate=rate)
        left = int(max_seconds * rate)
        for frame in _resampled(container, stream, resampler):
            samples = frame.to_ndarray()
            left -= samples.shape[1]
            if left < 0:
                raise AudioError(f"it is longer than {max_seconds / 3600:g} hours")
            yield tuple(samples)


def _resampled(container: Any, stream: Any, resampler: Any) -> Iterator[Any]:
    """The stream's frames, resampled. Packets that do not decode are passed over, as every player does, unless
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


class _Comparison:
    """Whether two channels carry one signal, up to what a lossy codec changes (2 % of the loudness)."""

    def __init__(self) -> None:
        self._difference = self._loudness = 0
        self._two = False

    def add(self, block: tuple[NDArray[np.int16], ...]) -> None:
        """Look at the next samples."""
        import numpy as np

        if len(block) != 2:
            return
        self._two = True
        left, right = block[0].astype(np.int32), block[1].astype(np.int32)
        self._difference += int(np.abs(left - right).sum())
        self._loudness += int(np.abs(left).sum() + np.abs(right).sum()) // 2

    @property
    def same(self) -> bool:
        """True if they did so far; two silent channels do."""
        return self._two and self._difference * 50 <= self._loudness

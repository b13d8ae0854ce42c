"""A recording in pieces: each channel cut where it is quiet, so that no word is cut and nothing is heard twice.

Belongs here: where to cut, and a piece as a file for services that take files. Not here: decoding (``audio.py``), what
is heard in a piece (``speech_local.py``, ``speech_openai.py``).

Pieces do not overlap: joined, they are the recording, and a word's time is its time in the piece plus the piece's
start. Only as much is held in memory as one piece of each channel takes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vcon_platform.processors.audio import SAMPLE_RATE, Sound, blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEP = SAMPLE_RATE // 5
"""Loudness is taken of a fifth of a second: shorter than the pause between two words' meanings, longer than the gap
within a plosive."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioPiece:
    """``samples`` (int16, 16 kHz) of ``channel``, of which ``first`` is the number of the first in the recording."""

    channel: int
    first: int
    samples: NDArray[np.int16]

    @property
    def start(self) -> float:
        """Seconds from the start of the recording."""
        return self.first / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the recording."""
        return (self.first + len(self.samples)) / SAMPLE_RATE

    @property
    def silent(self) -> bool:
        """Digital silence, or nothing at all: whoever listens to it could only invent something."""
        return not self.samples.any()


def pieces(data: bytes, sound: Sound, *, longest: float, search: float, mix: bool = False) -> Iterator[AudioPiece]:
    """The recording in pieces of at most ``longest`` seconds, each channel's in order. A piece ends where its channel
    is quietest within its last ``search`` seconds. ``sound``: what :func:`~.audio.survey` says of it. ``mix``: the
    channels as one. Raises AudioError as :func:`~.audio.blocks` does."""
    cutters: list[_Cutter] = []
    for block in blocks(data):
        channels = (_mixed(block),) if mix else block[: sound.channels]
        if not cutters:
            cutters = [_Cutter(channel, longest, search) for channel in range(len(channels))]
        for cutter, samples in zip(cutters, channels, strict=True):
            yield from cutter.add(samples)
    for cutter in cutters:
        yield from cutter.rest()


def _mixed(block: tuple[NDArray[np.int16], ...]) -> NDArray[np.int16]:
    """All channels as one. They are added and not averaged: people seldom speak at once, and half of a quiet caller's
    loudness is easily nothing."""
    import numpy as np

    if len(block) == 1:
        return block[0]
    total = np.sum([samples.astype(np.int32) for samples in block], axis=0)
    mixed: NDArray[np.int16] = np.clip(total, -32_768, 32_767).astype(np.int16)
    return mixed


class _Cutter:
    """One channel on its way."""

    def __init__(self, channel: int, longest: float, search: float) -> None:
        self._channel = channel
        self._longest = int(longest * SAMPLE_RATE)
        self._search = max(_STEP, int(min(search, longest / 2) * SAMPLE_RATE) // _STEP * _STEP)
        self._waiting = bytearray()
        self._first = 0

    def add(self, samples: NDArray[np.int16]) -> Iterator[AudioPiece]:
        self._waiting += samples.tobytes()
        while len(self._waiting) // 2 > self._longest:
            yield self._taken(self._cut())

    def rest(self) -> Iterator[AudioPiece]:
        if self._waiting:
            yield self._taken(len(self._waiting) // 2)

    def _cut(self) -> int:
        """After how many samples."""
        import numpy as np

        begin = self._longest - self._search
        tail = np.frombuffer(self._waiting, np.int16, self._search, 2 * begin).astype(np.float32)
        loudness = np.square(tail).reshape(-1, _STEP).sum(axis=1)
        return begin + int(loudness.argmin()) * _STEP + _STEP // 2

    def _taken(self, count: int) -> AudioPiece:
        import numpy as np

        piece = AudioPiece(self._channel, self._first, np.frombuffer(bytes(self._waiting[: 2 * count]), np.int16))
        del self._waiting[: 2 * count]
        self._first += count
        return piece


def flac(samples: NDArray[np.int16]) -> bytes:
    """The samples as a FLAC file: half the bytes of a WAV, and nothing is lost."""
    import av
    import numpy as np

    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.codec_context.format = "s16"
        size = 4_096
        for start in range(0, len(samples), size):
            some = np.ascontiguousarray(samples[start : start + size])[np.newaxis]
            frame = av.AudioFrame.from_ndarray(some, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()

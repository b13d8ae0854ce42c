"""Opens one recording in a process of its own: a script that ``probe.py`` starts.

Belongs here: what must happen where a decoder's mistake can hurt nobody. Not here: choosing the demuxer, starting
and stopping this process (``probe.py``). It imports nothing of the platform: a child has no settings and no secrets.

Arguments: demuxer, seconds of processor time, bytes of memory. The recording is standard input, a seekable file. The
answer is one line of JSON on standard output, ``{"error": word}`` where there is none.

What holds it: it may take so much time and memory and no more, write no file, and open nothing at all. Whatever a
container makes FFmpeg open, a file or a socket, needs a descriptor, and there is none left to have.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
from typing import Any, BinaryIO

TRIED = 64
"""Packets that are decoded, to tell sound from noise. The others are only counted, which is quick."""

NO_AV = 78
"""Exit code where PyAV cannot be loaded."""


class _Input(io.RawIOBase):
    """Standard input, read without moving the place at which the parent, whose file it is too, stands in it."""

    def __init__(self) -> None:
        self._place = 0
        self._size = os.fstat(0).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = os.preadv(0, [buffer], self._place)
        self._place += read
        return read

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._place = place + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place


def main() -> int:
    kind, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with contextlib.suppress(ValueError, OSError):  # not every system has it
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        import av
    except ImportError:
        return NO_AV
    av.logging.set_level(av.logging.PANIC)
    for rehearsal in (_silence(), _silence()[:40]):  # whatever is loaded on first use is loaded before the door shuts
        _answer(io.BytesIO(rehearsal), "wav")
    source = io.BufferedReader(_Input(), 1 << 18)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    print(json.dumps(_answer(source, kind)), flush=True)
    return 0


def _silence() -> bytes:
    form = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    return b"RIFF\x64\0\0\0WAVE" + form + b"data\x40\0\0\0" + bytes(64)


def _answer(source: BinaryIO, kind: str) -> dict[str, Any]:
    try:
        return _read(source, kind)
    except MemoryError:
        return {"error": "memory"}
    except Exception:  # whatever the binding raises: its words are of no use to a reader, and may be the document's
        return {"error": "damaged"}


def _read(source: BinaryIO, kind: str) -> dict[str, Any]:
    import av
    from av.error import FFmpegError
    from av.stream import Disposition

    options = {"protocol_whitelist": "none"}
    with av.open(source, mode="r", format=kind, metadata_errors="ignore", options=options) as container:
        sound = list(container.streams.audio)
        pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not sound and not pictures:
            return {"error": "no_track"}
        stream = (sound or pictures)[0]
        stream.codec_context.thread_count = 1
        good = bad = 0
        total, begin, end = 0.0, float("inf"), 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:  # it breaks off: what was read counts
                break
            if packet is None or not packet.size:
                break
            base = float(packet.time_base or 0)
            length = (packet.duration or 0) * base
            total += length
            if packet.pts is not None:
                begin, end = min(begin, packet.pts * base), max(end, packet.pts * base + length)
            if good + bad < TRIED:
                try:
                    good += bool(packet.decode())
                except FFmpegError:
                    bad += 1
        if not good or bad > good:
            return {"error": "noise"}
        context: Any = stream.codec_context
        return {
            "duration": end - begin if end > begin else total,
            "channels": context.layout.nb_channels if sound else None,
            "sample_rate": context.sample_rate if sound else None,
            "codec": context.codec.canonical_name,
            "pictures": bool(pictures),
        }


if __name__ == "__main__":
    sys.exit(main())

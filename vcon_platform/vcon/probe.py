"""What a recording is and how long it lasts, found out without trusting it.

Belongs here: the media type, the only demuxer that may read it, limits, and one sentence for everything that can be
wrong. Not here: decoding a recording to samples (``processors/audio.py``), the first bytes of each kind
(``media.py``), what happens in the child (``probe_child.py``).

Recordings come from outside. The kind is told by the first bytes and FFmpeg is forced to that demuxer, never left to
guess: a playlist that calls itself audio would otherwise make it open the files and addresses it names. Telephony's
WAVs are read here, from their header. Everything else is opened in a process of its own that has no environment, can
open nothing, and is stopped by the kernel at its limits of time and memory, so that what kills a decoder kills that.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.media import sniff
from vcon_platform.vcon.probe_child import NO_AV
from vcon_platform.vcon.wav import read_wav

LONGEST = 31 * 86_400.0
"""Seconds. No recording is longer; a header that says so lies."""


class Undecodable(PlatformError):
    """These bytes are no recording that can be read. ``str(error)`` is the reason: part of a sentence, no personal
    data."""


@dataclass(frozen=True, slots=True)
class Probe:
    """``mediatype`` by content; ``duration`` in seconds; ``channels`` and ``sample_rate`` (Hz) of the sound, None for
    a video without any; ``codec`` as FFmpeg names it."""

    mediatype: str
    duration: float
    channels: int | None
    sample_rate: int | None
    codec: str


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """``size``: bytes of a recording. ``cpu``: seconds of processor time. ``memory``: bytes of address space, of
    which loading FFmpeg takes a fifth."""

    size: int = 2 << 30
    cpu: int = 20
    memory: int = 1 << 30


DEMUXERS = {
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/mp4": "mov",
    "audio/webm": "matroska",
    "audio/amr": "amr",
    "audio/basic": "au",
    "audio/aiff": "aiff",
    "audio/x-caf": "caf",
    "audio/x-ms-wma": "asf",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpeg",
    "video/x-flv": "flv",
}
"""FFmpeg's name for each kind that :func:`media.sniff` tells. None of these opens anything but its own file."""

_SAME = (
    {"audio/x-wav", "audio/wav", "audio/wave", "audio/vnd.wave"},
    {"audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3"},
    {"audio/mp4", "audio/m4a", "audio/x-m4a", "video/mp4", "video/quicktime"},
    {"audio/webm", "video/webm", "audio/x-matroska", "video/x-matroska"},
    {"audio/ogg", "video/ogg", "audio/opus", "application/ogg"},
    {"audio/flac", "audio/x-flac"},
    {"audio/basic", "audio/x-au"},
    {"audio/aiff", "audio/x-aiff"},
    {"audio/x-ms-wma", "video/x-ms-wmv", "video/x-ms-asf"},
)
"""Names of one thing, or of one container with and without pictures. A claim among them is kept."""

_WITH_PICTURES = {
    "audio/mp4": "video/mp4",
    "audio/webm": "video/webm",
    "audio/ogg": "video/ogg",
    "audio/x-ms-wma": "video/x-ms-wmv",
}
_REASONS = {
    "damaged": "its first bytes say {kind}, but what follows is damaged",
    "no_track": "it holds no sound and no pictures",
    "noise": "most of it does not decode",
    "memory": "it asks for more memory than a recording needs",
}


def demuxer(head: bytes) -> str | None:
    """FFmpeg's name for the container that the first 16 bytes say; None: none that is read."""
    found = sniff(head)
    return None if found is None else DEMUXERS.get(found)


def probe(
    source: bytes | Path | BinaryIO,
    *,
    mediatype: str | None = None,
    timeout: float = 30.0,
    limits: ProbeLimits = ProbeLimits(),
) -> Probe:
    """Media type, duration, channels and codec of a recording: bytes, a file, or an open seekable file, which is left
    where it stood. ``mediatype`` is what its document calls it; that name is kept where it is one for the same thing.
    ``timeout``: seconds on the clock. Raises :class:`Undecodable`.

    A recording that breaks off has the length of what is there. Blocks; call it from a thread in asynchronous code.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _probe(file, mediatype, timeout, limits)
    if isinstance(source, bytes):
        return _probe(io.BytesIO(source), mediatype, timeout, limits)
    stood = source.tell()
    try:
        return _probe(source, mediatype, timeout, limits)
    finally:
        source.seek(stood)


def _probe(source: BinaryIO, claimed: str | None, timeout: float, limits: ProbeLimits) -> Probe:
    size = source.seek(0, os.SEEK_END)
    if not size:
        raise Undecodable("it is empty")
    if size > limits.size:
        raise Undecodable(f"it is larger than {limits.size >> 20} MB")
    source.seek(0)
    found = sniff(source.read(16))
    if found is None or found not in DEMUXERS:
        raise Undecodable("its first bytes are those of no audio or video format that is read here")
    wav = read_wav(source, size) if found == "audio/x-wav" else None
    if wav is not None:
        return _checked(_name(found, claimed, pictures=False), *wav)
    answer = _ask(source, DEMUXERS[found], timeout, limits)
    if "error" in answer:
        raise Undecodable(_REASONS.get(answer["error"], _REASONS["damaged"]).format(kind=DEMUXERS[found]))
    name = _name(found, claimed, pictures=bool(answer["pictures"]))
    return _checked(name, answer["duration"], answer["channels"], answer["sample_rate"], answer["codec"])


def _checked(mediatype: str, duration: float, channels: int | None, rate: int | None, codec: str) -> Probe:
    if not duration > 0:
        raise Undecodable("it holds no samples")
    if not math.isfinite(duration) or duration > LONGEST:
        raise Undecodable("its header says that it lasts longer than a month")
    if rate is not None and channels is not None and not (1_000 <= rate <= 768_000 and 1 <= channels <= 64):
        raise Undecodable("its sample rate or number of channels is none of sound")
    return Probe(mediatype, round(duration, 3), channels, rate, codec)


def _name(found: str, claimed: str | None, *, pictures: bool) -> str:
    real = _WITH_PICTURES.get(found, found) if pictures else found
    claim = (claimed or "").partition(";")[0].strip().lower()
    same = next((names for names in _SAME if found in names), {found})
    return claim if claim in same and claim.startswith(("video/", "application/") if pictures else "audio/") else real


# --- the child -------------------------------------------------------------------------------------------------


_ANSWER = {
    "duration": (int, float),
    "channels": (int, type(None)),
    "sample_rate": (int, type(None)),
    "codec": (str,),
    "pictures": (bool,),
}
_LONGEST_ANSWER = 1_024


def _ask(source: BinaryIO, kind: str, timeout: float, limits: ProbeLimits) -> dict[str, Any]:
    """The child's answer: ``_ANSWER``, or ``error`` with a word of ``_REASONS``. The child is not believed either:
    whoever took it over may say something false, but not something large or of another form."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("probe_child.py")), kind]
    with (
        _as_file(source) as file,
        subprocess.Popen(
            [*command, str(limits.cpu), str(limits.memory)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # a Ctrl-C at our terminal is none for it
        ) as child,
    ):
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(timeout, stop)
        timer.start()
        try:
            said = child.stdout.read(_LONGEST_ANSWER) if child.stdout else b""
            if len(said) == _LONGEST_ANSWER:
                child.kill()
            child.wait()
        finally:
            timer.cancel()
            child.kill()
    if late.is_set():
        raise Undecodable(f"it takes longer than {timeout:g} s to read")
    if child.returncode == NO_AV:
        raise PlatformError("recordings cannot be looked into: the Python package av does not load; install it again")
    return _believable(said)


def _believable(said: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(said)
    except orjson.JSONDecodeError:  # the kernel stopped it, or the decoder crashed
        raise Undecodable("reading it takes more time or memory than a recording needs") from None
    if isinstance(answer, dict):
        if isinstance(answer.get("error"), str):
            return answer
        if all(type(answer.get(name)) in types for name, types in _ANSWER.items()):
            return answer
    raise Undecodable(_REASONS["noise"])


@contextmanager
def _as_file(source: BinaryIO) -> Iterator[int | IO[bytes]]:
    """The recording as a file of the operating system."""
    try:
        descriptor = source.fileno()
        source.flush()
    except (OSError, AttributeError):
        with tempfile.TemporaryFile() as file:
            source.seek(0)
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            yield file
    else:
        yield descriptor

"""How long a WAV file is, from its header and the bytes that are really there.

Belongs here: RIFF/WAVE with one of the codecs of telephony. Not here: decoding, other containers, WAVs with another
codec (``probe.py`` hands them to a decoder). Nothing is decoded and no size is believed: recorders that were cut
off, and attackers, leave sizes of nothing or of 4 GB.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

PCM, FLOAT, ALAW, MULAW, GSM, EXTENSIBLE = 1, 3, 6, 7, 0x31, 0xFFFE
_BITS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64), ALAW: (8,), MULAW: (8,)}
_NAMES = {FLOAT: "pcm_f", ALAW: "pcm_alaw", MULAW: "pcm_mulaw", GSM: "gsm_ms"}
_MOST_CHUNKS = 1_000


class Wav(NamedTuple):
    """``duration`` in seconds; ``codec`` as FFmpeg names it (``pcm_s16le``, ``pcm_mulaw``, ``gsm_ms``)."""

    duration: float
    channels: int
    sample_rate: int
    codec: str


def read_wav(source: BinaryIO, size: int) -> Wav | None:
    """What the header of a WAV file of ``size`` bytes says, limited to what is there; None: it is not for us to say.
    A duration of 0 means that the header is sound and no samples follow."""
    source.seek(0)
    head = source.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    form = b""
    long_size: int | None = None
    place = 12
    for _ in range(_MOST_CHUNKS):
        source.seek(place)
        header = source.read(8)
        if len(header) < 8:
            return _length(form, 0) if form else None
        name, length = header[:4], int.from_bytes(header[4:], "little")
        place += 8
        if name == b"data":
            if long_size is not None and length == 0xFFFFFFFF:
                length = long_size
            rest = max(0, size - place)
            return _length(form, min(length or rest, rest))
        if name == b"fmt ":
            form = source.read(min(length, 40))
        elif name == b"ds64":
            long_size = int.from_bytes(source.read(16)[8:16], "little")
        place += length + (length & 1)
    return None


def _length(form: bytes, data: int) -> Wav | None:
    if len(form) < 16:
        return None
    tag, channels, rate, _, block, bits = (int.from_bytes(form[a:b], "little") for a, b in _FIELDS)
    if tag == EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    if not 1 <= channels <= 64 or not 1_000 <= rate <= 768_000:
        return None
    if tag == GSM and channels == 1 and block == 65:  # 320 samples in 65 bytes, by the format's definition
        return Wav(data // block * 320 / rate, channels, rate, _NAMES[tag])
    if bits not in _BITS.get(tag, ()) or block != channels * bits // 8:
        return None
    codec = _NAMES.get(tag) or ("pcm_u8" if bits == 8 else f"pcm_s{bits}le")
    return Wav(data // block / rate, channels, rate, f"pcm_f{bits}le" if tag == FLOAT else codec)


_FIELDS = ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))

"""What processors are given in tests: bodies and results in memory, and a way to make calls with sound in them."""

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import soundfile
from numpy.typing import NDArray

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Buyer, ProcessorContext, ProcessorIO, Usage
from vcon_platform.projections.model import Projection
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import content_hash_of, decode_base64url, encode_base64url

DATA = Path(__file__).parents[1] / "data"
WHICH_PRODUCT = DATA / "which_product.mp3"
TWO_CHANNELS = DATA / "two_channels.mp3"
_DRAWN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[0-9:.+Z-]+")
"""Uuids and times: any short number may be in one."""
UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"


class MediaInMemory:
    """A MediaReader over inline bodies and a dict of bytes by url; counts how often a body is read."""

    def __init__(self, kept: Mapping[str, bytes] | None = None) -> None:
        self.kept = dict(kept or {})
        self.reads = 0

    def body(self, entry: Mapping[str, Any]) -> bytes:
        self.reads += 1
        if "body" in entry:
            body = entry["body"]
            if entry.get("encoding") == "none" and isinstance(body, str):
                return body.encode()
            return decode_base64url(body) if isinstance(body, str) else orjson.dumps(body)
        try:
            return self.kept[entry["url"]]
        except KeyError:
            raise PlatformError("its body is not in the media store") from None

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        token = entry.get("content_hash")
        return token if isinstance(token, str) else content_hash_of(self.body(entry))


class ResultsInMemory:
    """A ResultCache; values go through JSON, as in the real one."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], bytes] = {}

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        if parts not in self.kept:
            self.kept[parts] = orjson.dumps(compute())
        return orjson.loads(self.kept[parts])


class Account:
    """A Purchases that allows everything and remembers what was used."""

    def __init__(self) -> None:
        self.used: list[Usage] = []

    def before(self, buyer: Buyer) -> None:
        """Anything may be bought."""

    def after(self, buyer: Buyer, usage: Usage) -> None:
        self.used.append(usage)


def context(
    media: MediaInMemory | None = None,
    results: ResultsInMemory | None = None,
    projections: Mapping[str, Projection] | None = None,
) -> ProcessorContext:
    return ProcessorContext(
        media=media or MediaInMemory(),
        results=results or ResultsInMemory(),
        projections=projections or {},
        pipeline="recall",
    )


def document(**members: Any) -> dict[str, Any]:
    return {"uuid": UUID, "created_at": "2026-09-01T12:00:00Z", "parties": [{}, {}], **members}


def io_of(data: dict[str, Any], **lent: Any) -> ProcessorIO:
    return ProcessorIO([Vcon(data)], context(**lent))


def recording(audio: bytes | Path, parties: Any = (0, 1), **members: Any) -> dict[str, Any]:
    """A recording dialog with these bytes inside."""
    data = audio.read_bytes() if isinstance(audio, Path) else audio
    return {
        "type": "recording",
        "start": "2026-09-01T12:00:00Z",
        "parties": list(parties) if isinstance(parties, tuple) else parties,
        "mediatype": "audio/x-wav",
        "body": encode_base64url(data),
        "encoding": "base64url",
        **members,
    }


def sound(path: Path = WHICH_PRODUCT, seconds: float | None = None) -> tuple[NDArray[np.float64], int]:
    """(samples, rate) of a test recording."""
    samples, rate = soundfile.read(path)
    return samples[: None if seconds is None else int(seconds * rate)], rate


def encoded(samples: NDArray[Any], rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """The samples as a file of this kind."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def m4a(samples: NDArray[Any], rate: int) -> bytes:
    """Mono samples as AAC in MP4."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        for start in range(0, len(samples), 1024):
            piece = np.asarray(samples[start : start + 1024], dtype=np.float32)[np.newaxis]
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate = rate
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def told_by(vcon: Vcon) -> str:
    """All that a document says, in lower case; what is drawn anew each time is left out."""
    return _DRAWN.sub("", vcon.to_bytes().decode()).casefold()

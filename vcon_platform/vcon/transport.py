"""How a document arrives: its media type, and gzip taken off under caps.

Belongs here: which media types are documents, and inflating. Not here: the JSON itself (``strict_json.py``), long
bodies inside it (``bodies.py``), HTTP headers (``api/``), zip bundles (``bundle.py``).

Exactly one gzip layer of exactly one member is taken off: a second layer or member serves nobody but an attacker, and
bytes after the end would be archived without ever having been looked at. The ratio cap stops a bomb early; below a
megabyte of output it is not judged, since a small repetitive document may well shrink a hundredfold.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.limits import Limits

BLOCK = 1 << 20
"""Bytes read and inflated at a time."""

GZIP_MAGIC = b"\x1f\x8b"
MEDIA_TYPES = ("application/vcon", "application/vcon+json", "application/json", "text/json")
"""Under these, and without a type or as octet-stream, the first two bytes tell gzip from JSON."""
GZIP_TYPES = ("application/vcon+gzip", "application/gzip")

_RATIO_FROM = 1 << 20
_FOLLOWED = "is followed by other bytes; send one gzip member and nothing after it"


def is_gzip(media_type: str | None, head: bytes) -> bool:
    """Whether the document is gzip, by its media type (parameters are ignored), else by its first two bytes.

    Raises :class:`Rejected` (415 ``unsupported_media_type``) for a type that no vCon has.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    if kind in GZIP_TYPES:
        return True
    if kind in MEDIA_TYPES or kind in ("", "application/octet-stream"):
        return head.startswith(GZIP_MAGIC)
    expected = ", ".join((*MEDIA_TYPES, *GZIP_TYPES))
    raise Rejected(Fault("unsupported_media_type", "", f"no vCon has this media type; send one of {expected}", 415))


def capped(blocks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """The blocks as they are; raises :class:`Rejected` (413 ``too_large``) beyond ``limits.document_bytes``."""
    taken = 0
    for block in blocks:
        taken += len(block)
        if taken > limits.document_bytes:
            raise Rejected(too_large(limits.document_bytes))
        yield block


def too_large(most: int) -> Fault:
    """The fault of a document with more bytes than are taken in."""
    return Fault("too_large", "", f"a document may have {most} bytes; send the recording as a url instead", status=413)


def inflate(blocks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """The content of one gzip member, in blocks of at most a megabyte, whatever the compressed bytes hold.

    Raises :class:`Rejected`: 413 ``inflated_too_large`` beyond ``limits.inflated_bytes`` or ``limits.ratio``, 400
    ``bad_gzip`` for what is no gzip, cut off, damaged or followed by other bytes, 415 ``nested_compression``.
    """
    engine = zlib.decompressobj(wbits=31)
    taken = given = 0
    head = b""
    for block in blocks:
        taken += len(block)
        more = bool(block)
        if more and engine.eof:
            raise _bad_gzip(_FOLLOWED)
        while more:
            try:
                inflated = engine.decompress(block, BLOCK)
            except zlib.error:
                raise _bad_gzip("is damaged or no gzip at all; send it again or under its own media type") from None
            given += len(inflated)
            if given > limits.inflated_bytes or given > max(_RATIO_FROM, taken * limits.ratio):
                raise Rejected(_inflated_too_large(limits))
            if len(head) < len(GZIP_MAGIC):
                head += inflated[: len(GZIP_MAGIC)]
                if head.startswith(GZIP_MAGIC):
                    raise Rejected(Fault("nested_compression", "", "gzip inside gzip; compress it once", status=415))
            if inflated:
                yield inflated
            if engine.unused_data:
                raise _bad_gzip(_FOLLOWED)
            block = engine.unconsumed_tail
            # a full block may leave more output inside zlib although all input is consumed
            more = not engine.eof and (bool(block) or len(inflated) == BLOCK)
    if not engine.eof:
        raise _bad_gzip("ends too early; send it again whole")


def _inflated_too_large(limits: Limits) -> Fault:
    return Fault(
        "inflated_too_large",
        "",
        f"the gzip content is over {limits.inflated_bytes} bytes or over {limits.ratio} times its compressed size;"
        " send a real document of that kind uncompressed",
        status=413,
    )


def _bad_gzip(what: str) -> Rejected:
    return Rejected(Fault("bad_gzip", "", f"the gzip content {what}", status=400))

"""Finding long base64 texts in a document's bytes and cutting them out, in linear time and a few megabytes.

Belongs here: where a candidate begins and ends, and moving it aside. Not here: whether a text comes back exactly
(``bodies.Decoder``), whether it stands where a body may stand (``opened.py``, which puts others back).

No JSON is parsed here, and none has to be. A candidate is a run without quotes between two quotes, of base64
characters only, whose first quote is not escaped. In any JSON text that first quote opens a string: after one that
closes a string only white space and one of ``,:]}`` may come. In what is no JSON, cutting changes nothing about that:
what is left stands between the same quotes. And since a run of at least N bytes covers one of every N positions, most
of a document is never looked at.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from vcon_platform.vcon.bodies import BLOCK, HEAD, Decoder, Hoisted, Refused, decode
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import content_hash

QUOTE = b'"'
_PLAUSIBLE = re.compile(rb"(?:[A-Za-z0-9+/_-]|\\/)+=*")
_LOOK = 64  # characters of a run that are looked at before anything is decoded
_IN_MEMORY = 2 << 20  # bytes of bodies beyond which they are spooled to disk


class Cut(NamedTuple):
    """A text that was cut out: where it stood in what is left, the body, and the text's length."""

    offset: int
    body: Hoisted
    length: int


class Spool:
    """Decoded bodies one after the other, in memory while they are few, else in a file without a name."""

    def __init__(self, folder: Path | None) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            _IN_MEMORY, dir=None if folder is None else str(folder)
        )
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add at the end."""
        self._file.seek(self.size)
        self._file.write(data)
        self.size += len(data)

    def read(self, start: int, length: int, size: int = BLOCK) -> Iterator[bytes]:
        """``length`` bytes from ``start``, at most ``size`` at a time."""
        for offset in range(start, start + length, size):
            self._file.seek(offset)
            yield self._file.read(min(size, start + length - offset))

    def cut(self, size: int) -> None:
        """Forget what is beyond ``size``."""
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def close(self) -> None:
        """Give the file back to the system."""
        self._file.close()


def least_length(hoist_over: int) -> int:
    """The shortest text that is taken out, when bodies of more than ``hoist_over`` decoded bytes are."""
    return max(hoist_over, 0) * 4 // 3 + 1


def hoist_bytes(raw: bytes, least: int) -> tuple[bytes, list[Cut]]:
    """What is left of a document in memory, and what was cut out; the bodies read from ``raw`` itself."""
    view, cuts, kept = memoryview(raw), list[Cut](), list[memoryview]()
    done = left = scan = 0
    while True:
        start, end = next_run(raw, scan, least)
        if end < 0:
            break
        scan = end
        if not _plausible(raw, start, end, last=True) or (body := _body_at(view[start + 1 : end])) is None:
            continue
        kept.append(view[done : start + 1])
        left += start + 1 - done
        cuts.append(Cut(left, body, end - start - 1))
        done = end
    if not cuts:
        return raw, cuts
    return b"".join([*kept, view[done:]]), cuts


def hoist_stream(blocks: Iterable[bytes], least: int, spool: Spool, limits: Limits) -> tuple[bytes, list[Cut]]:
    """The same for a document that arrives in blocks; the bodies go to ``spool``, the document never is in memory.

    Raises :class:`Rejected` (413 ``too_large``) if more than ``limits.skeleton_bytes`` are left.
    """
    stream = _Stream(least, spool, limits)
    for block in blocks:
        stream.take(block)
    return stream.end()


def skeleton_too_large(limits: Limits) -> Fault:
    """The fault of a document whose text, without its recordings, is too much to hold in memory."""
    return Fault(
        "too_large",
        "",
        f"without its bodies in base64 the document is over {limits.skeleton_bytes} bytes; split it, or write long"
        " bodies as base64url",
        status=413,
    )


def next_run(data: bytes | bytearray, start: int, least: int) -> tuple[int, int]:
    """(quote, next quote) of the first run of at least ``least`` bytes between quotes, from ``start`` on, which is a
    quote's place or the beginning. (last quote, -1) if there is none: the run after it is open, whatever its length;
    without any quote, the end of the data is given for it."""
    probe = start + least
    while probe < len(data):
        quote = data.rfind(QUOTE, start, probe + 1)
        if quote < 0:
            quote = data.find(QUOTE, probe + 1)
            if quote < 0:
                return len(data), -1
        following = data.find(QUOTE, quote + 1)
        if following < 0 or following - quote > least:
            return quote, following
        start, probe = following, following + least
    quote = data.rfind(QUOTE, start)
    return (len(data) if quote < 0 else quote), -1


def _plausible(data: bytes | bytearray, start: int, end: int, *, last: bool) -> bool:
    """Whether a run may be base64, by its first characters and the quote before it. ``last``: it ends at ``end``; else
    the slash after a backslash at the end may still come."""
    head = bytes(data[start + 1 : min(end, start + 1 + _LOOK)])
    if not last or end > start + 1 + _LOOK:
        head = head.removesuffix(b"\\")
    return (not head or _PLAUSIBLE.fullmatch(head) is not None) and not _escaped(data, start)


def _escaped(data: bytes | bytearray, quote: int) -> bool:
    """Whether an odd number of backslashes stands before a quote."""
    backslashes = 0
    while True:
        before = bytes(data[max(0, quote - backslashes - 4096) : quote - backslashes])
        run = len(before) - len(before.rstrip(b"\\"))
        backslashes += run
        if run < len(before) or not before:
            return backslashes % 2 == 1


def _body_at(text: memoryview) -> Hoisted | None:
    """The body whose text this is, decoded once to know its hash; None if it does not come back exactly."""
    decoder, digest, size, head, offset = Decoder(), hashlib.sha512(), 0, b"", 0
    while offset < len(text):
        piece = bytes(text[offset : offset + BLOCK])
        last = offset + len(piece) == len(text)
        if piece.endswith(b"\\") and not last:
            piece = piece[:-1]
        offset += len(piece)
        try:
            data = decoder.feed(piece, last=last)
        except Refused:
            return None
        digest.update(data)
        size += len(data)
        head = (head + data[:HEAD])[:HEAD]
    variant = decoder.variant
    return Hoisted(content_hash(digest.digest()), size, head, variant, partial(decode, text, variant))


class _Stream:
    """What is left of a document that arrives in blocks."""

    def __init__(self, least: int, spool: Spool, limits: Limits) -> None:
        self._least, self._spool, self._limits = least, spool, limits
        self._left, self._cuts = bytearray(), list[Cut]()
        self._scanned = 0  # no run that begins before is cut out any more
        self._moving: _Moving | None = None

    def take(self, block: bytes) -> None:
        """The next block."""
        if self._moving is not None:
            end = block.find(QUOTE)
            if not self._moving.take(block if end < 0 else block[:end], last=end >= 0):
                self._take_back(self._moving)
                end = 0
            elif end < 0:
                return
            else:
                self._finish(self._moving)
            self._moving, self._scanned = None, len(self._left)
            block = block[end:] if end else block
        self._left += block
        self._scan()
        if self._scanned > self._limits.skeleton_bytes:
            raise Rejected(skeleton_too_large(self._limits))

    def end(self) -> tuple[bytes, list[Cut]]:
        """The document is complete."""
        if self._moving is not None:  # its string never ends, as the parser will say
            self._take_back(self._moving)
        return bytes(self._left), self._cuts

    def _scan(self) -> None:
        """Cut out what can be, and move the candidate that the next block continues."""
        left = self._left
        while True:
            start, end = next_run(left, self._scanned, self._least)
            if end < 0:
                break
            self._scanned = end
            if moving := self._moved(start, end, last=True):
                self._finish(moving)
                self._scanned = start + 1
        self._scanned = start
        if len(left) - start > self._least:
            self._moving = self._moved(start, len(left), last=False)
            self._scanned = len(left)

    def _moved(self, start: int, end: int, *, last: bool) -> _Moving | None:
        if not _plausible(self._left, start, end, last=last):
            return None
        moving = _Moving(self._spool, start + 1)
        if not moving.take(bytes(memoryview(self._left)[start + 1 : end]), last=last):
            return None
        del self._left[start + 1 : end]
        return moving

    def _finish(self, moving: _Moving) -> None:
        self._cuts.append(Cut(moving.offset, moving.body(), moving.length))

    def _take_back(self, moving: _Moving) -> None:
        for piece in moving.taken_back():
            self._left += piece
            if len(self._left) > self._limits.skeleton_bytes:
                raise Rejected(skeleton_too_large(self._limits))


class _Moving:
    """A text on its way from the blocks to the spool; ``offset``: where it stood in what is left."""

    def __init__(self, spool: Spool, offset: int) -> None:
        self._spool, self._start = spool, spool.size
        self._decoder, self._digest = Decoder(), hashlib.sha512()
        self._head, self._held = b"", b""
        self.offset, self.length = offset, 0

    def take(self, piece: bytes, *, last: bool) -> bool:
        """Take the next piece in; False if the text does not come back exactly, and then nothing is changed."""
        piece = self._held + piece if self._held else piece
        held = piece[-1:] if piece.endswith(b"\\") and not last else b""
        if held:
            piece = piece[:-1]
        try:
            data = self._decoder.feed(piece, last=last)
        except Refused:
            return False
        self._held = held
        self.length += len(piece)
        self._digest.update(data)
        if len(self._head) < HEAD:
            self._head = (self._head + data[:HEAD])[:HEAD]
        self._spool.write(data)
        return True

    def taken_back(self) -> Iterator[bytes]:
        """The text that was taken in, as it stood; the spool is freed of it."""
        so_far = self._decoder.variant
        yield from so_far.encode(self._spool.read(self._start, self._spool.size - self._start))
        yield self._decoder.pending() + self._held
        self._spool.cut(self._start)

    def body(self) -> Hoisted:
        """The body, once the text is complete."""
        size = self._spool.size - self._start
        read = partial(self._spool.read, self._start, size)
        return Hoisted(content_hash(self._digest.digest()), size, self._head, self._decoder.variant, read)

"""A document opened: what arrived, taken out of gzip, relieved of its recordings, parsed and known by its hash.

Belongs here: the one way from bytes to a parsed document (:func:`open_document`), which every path takes, and what
comes of it (:class:`Opened`). Not here: each of the steps (``transport.py``, ``hoisting.py``, ``strict_json.py``), what
the document means (``gates.py``, ``received.py``), keeping anything (``store/``).

A long body is cut out before the JSON is parsed, and a :class:`~vcon_platform.vcon.bodies.Hoisted` stands in its
place in ``value``; so a document with a 200 MB recording costs little more than one without. While parsing, random
text that nobody can foresee stands for each body; ``skeleton``, which is archived, is without it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Self

from vcon_platform.vcon.bodies import Hoisted, Splice
from vcon_platform.vcon.faults import Finding, Rejected
from vcon_platform.vcon.hoisting import Cut, Spool, hoist_bytes, hoist_stream, least_length, skeleton_too_large
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.strict_json import read_json
from vcon_platform.vcon.transport import BLOCK, capped, inflate, is_gzip, too_large

BODY_ARRAYS = ("dialog", "analysis", "attachments")
SEALED = ("payload", "ciphertext")
"""The members of a signed and of an encrypted vCon that hold a document (draft -03 sections 5.2, 5.3)."""
_PIECE = 2047
_UNINTERRUPTED = 64 << 10
"""Bytes that are hashed without letting others run: about 50 us."""


@dataclass(slots=True)
class Opened:
    """A document that passed gate 1. Used as a context manager: closing it deletes what was spooled.

    ``value``: the parsed JSON; a Hoisted stands in it only as ``body`` of an element of dialog, analysis or
    attachments, or as the document's own ``payload`` or ``ciphertext``. ``sha256`` (hex) and ``size``: of the bytes as
    they came. ``skeleton``: the inflated bytes without the texts of ``bodies``, which go back in at ``splices``
    (:func:`~vcon_platform.vcon.bodies.remake`). ``raw``: of a document that came as gzip, the bytes as they came.
    """

    value: Any
    sha256: str
    size: int
    skeleton: bytes
    splices: tuple[Splice, ...] = ()
    bodies: tuple[Hoisted, ...] = ()
    gzipped: bool = False
    findings: list[Finding] = field(default_factory=list)
    raw: bytes | Path | None = None
    _held: ExitStack | None = None

    def close(self) -> None:
        """Delete what was spooled; bodies cannot be read any more."""
        if self._held is not None:
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_document(
    source: bytes | BinaryIO,
    *,
    media_type: str | None,
    limits: Limits,
    hoist_over: int,
    spool_dir: Path | None = None,
) -> Opened:
    """Read a document from its bytes or from a stream (``read(n)``), which is read once, a megabyte at a time.

    Bodies of more than ``hoist_over`` decoded bytes are moved aside: those of a stream into ``spool_dir`` (default:
    the system's folder for temporary files), while those of ``bytes`` stay there. Raises :class:`Rejected` with one
    fault, of ``transport.py`` or ``strict_json.py``.
    """
    least = least_length(hoist_over)
    if isinstance(source, bytes):
        return _from_bytes(source, media_type, limits, least, spool_dir)
    first = _filled(source)
    if len(first) < BLOCK:
        return _from_bytes(first, media_type, limits, least, spool_dir)
    with ExitStack() as held:
        came = _Tally(capped(chain([first], iter(lambda: source.read(BLOCK), b"")), limits))
        spool = Spool(spool_dir)
        held.callback(spool.close)
        blocks: Iterable[bytes] = came
        raw: _RawFile | None = None
        if is_gzip(media_type, first[:2]):
            raw = held.enter_context(_RawFile(spool_dir))
            blocks = inflate(raw.copied(came), limits)
        left, cuts = hoist_stream(blocks, least, spool, limits)
        opened = _read(left, cuts, limits, came.sha256.hexdigest(), came.size)
        if raw is not None:
            opened.gzipped, opened.raw = True, raw.path
        opened._held = held.pop_all()
    return opened


def _from_bytes(source: bytes, media_type: str | None, limits: Limits, least: int, spool_dir: Path | None) -> Opened:
    if len(source) > limits.document_bytes:
        raise Rejected(too_large(limits.document_bytes))
    sha256 = _digest(source)
    if not is_gzip(media_type, source[:2]):
        left, cuts = hoist_bytes(source, least) if len(source) > least else (source, [])
        return _read(left, cuts, limits, sha256, len(source))
    with ExitStack() as held:
        blocks = inflate((source,), limits)
        first = next(blocks, b"")
        second = next(blocks, b"")
        if second:
            spool = Spool(spool_dir)
            held.callback(spool.close)
            left, cuts = hoist_stream(chain((first, second), blocks), least, spool, limits)
        else:
            left, cuts = hoist_bytes(first, least)
        opened = _read(left, cuts, limits, sha256, len(source))
        opened.gzipped, opened.raw = True, source
        opened._held = held.pop_all()
    return opened


def _digest(source: bytes) -> str:
    """SHA-256 in hex. hashlib lets other threads run while it works on more than 2047 bytes, and waits for them
    afterwards: for a small document that takes longer than the work."""
    if len(source) > _UNINTERRUPTED:
        return hashlib.sha256(source).hexdigest()
    sha256 = hashlib.sha256(source[:_PIECE])
    for begin in range(_PIECE, len(source), _PIECE):
        sha256.update(source[begin : begin + _PIECE])
    return sha256.hexdigest()


def _read(left: bytes, cuts: list[Cut], limits: Limits, sha256: str, size: int) -> Opened:
    """Parse what is left, with the bodies where they belong; texts that stand elsewhere go back into it."""
    if len(left) > limits.skeleton_bytes:
        raise Rejected(skeleton_too_large(limits))
    findings: list[Finding] = []
    if not cuts:
        return Opened(read_json(left, limits, findings), sha256, size, left, findings=findings)
    value, placed = _parsed(left, cuts, limits, findings)
    if len(placed) < len(cuts):
        left, cuts = _put_back(left, cuts, placed, limits)
        findings.clear()
        value, placed = _parsed(left, cuts, limits, findings)
    bodies = tuple(cut.body for cut in cuts)
    splices = tuple(Splice(cut.offset, cut.body.token, cut.body.size, str(cut.body.variant)) for cut in cuts)
    return Opened(value, sha256, size, left, splices, bodies, findings=findings)


def _parsed(left: bytes, cuts: list[Cut], limits: Limits, findings: list[Finding]) -> tuple[Any, set[int]]:
    """The value with a Hoisted for each cut that stands as a body, and which cuts these are."""
    nonce = secrets.token_hex(16)
    names = [f"{nonce}{number}" for number in range(len(cuts))]
    pieces, done = [], 0
    for cut, name in zip(cuts, names, strict=True):
        pieces += [left[done : cut.offset], name.encode()]
        done = cut.offset
    pieces.append(left[done:])

    def came_at(place: int) -> int:
        """The place in what came of a place in what is parsed."""
        named = moved = 0
        for cut, name in zip(cuts, names, strict=True):
            if place < cut.offset + named + len(name):
                break
            named += len(name)
            moved += cut.length
        return place - named + moved

    try:
        value = read_json(b"".join(pieces), limits, findings, came_at=came_at)
    except Rejected as refused:
        hidden = re.compile(nonce + r"\d+")
        raise Rejected(*(replace(fault, pointer=hidden.sub("…", fault.pointer)) for fault in refused.faults)) from None
    placed: set[int] = set()
    for holder, member in _places(value):
        text = holder.get(member)
        if isinstance(text, str) and text.startswith(nonce):
            number = int(text[len(nonce) :])
            holder[member] = cuts[number].body
            placed.add(number)
    return value, placed


def _places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Where a body may stand."""
    if not isinstance(value, dict):
        return
    for member in SEALED:
        yield value, member
    for name in BODY_ARRAYS:
        array = value.get(name)
        if isinstance(array, list):
            yield from ((element, "body") for element in array if isinstance(element, dict))


def _put_back(left: bytes, cuts: list[Cut], placed: set[int], limits: Limits) -> tuple[bytes, list[Cut]]:
    whole, kept, done = bytearray(), [], 0
    for number, cut in enumerate(cuts):
        whole += left[done : cut.offset]
        done = cut.offset
        if number in placed:
            kept.append(cut._replace(offset=len(whole)))
            continue
        if len(whole) + cut.length + len(left) - done > limits.skeleton_bytes:
            raise Rejected(skeleton_too_large(limits))
        for piece in cut.body.text_chunks():
            whole += piece
    whole += left[done:]
    return bytes(whole), kept


def _filled(source: BinaryIO) -> bytes:
    """The first megabyte, or all there is; a socket's read may give less than was asked for."""
    read: Callable[[int], bytes] = source.read
    pieces, size = [], 0
    while size < BLOCK and (piece := read(BLOCK - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


class _Tally:
    """Blocks on their way, counted and hashed."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.sha256, self.size = hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.sha256.update(block)
            self.size += len(block)
            yield block


class _RawFile:
    """The bytes of a gzip document as they came, in a file that is deleted on closing."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="vcon-", suffix=".gz", dir=folder)  # noqa: SIM115
        self.path = Path(self._file.name)

    def copied(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks as they are, written down on their way."""
        for block in blocks:
            self._file.write(block)
            yield block
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

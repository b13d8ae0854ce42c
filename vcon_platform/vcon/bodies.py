"""Long bodies as they stand in a document's bytes: base64 text that is taken out and can be put back exactly.

Belongs here: which text may be taken out (:class:`Decoder`), what it becomes (:class:`Hoisted`), where it stood
(:class:`Splice`), and the exact original bytes again (:func:`remake`). Not here: finding such text in a document
(``hoisting.py``), opening documents (``opened.py``), keeping media (``store/media.py``).

A recording is kept once, decoded, under its hash; the archive keeps the document without it. So a text is taken out
only if it is certain to come back to the byte: one of eight ways to write base64 (two alphabets, padded or not, and
``/`` as JSON's ``\\/`` or plain), used from the first to the last character, with nothing in its unused bits.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vcon_platform.vcon.media import content_hash

BLOCK = 1 << 20
HEAD = 64
"""Decoded bytes kept at hand of every body, for telling its media type."""

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Variant:
    """How a base64 text is written. ``str(variant)`` and :meth:`parse` go to and from its name, as archived:
    ``url`` or ``std``, then ``=`` if padded, then ``\\/`` if slashes are escaped as JSON allows."""

    standard: bool = False
    padded: bool = False
    escaped: bool = False

    def __str__(self) -> str:
        escaped = self.standard and self.escaped
        return ("std" if self.standard else "url") + ("=" if self.padded else "") + ("\\/" if escaped else "")

    @classmethod
    def parse(cls, name: str) -> Variant:
        """The variant of this name; ValueError if there is none."""
        variant = cls(name.startswith("std"), "=" in name, name.endswith("\\/"))
        if str(variant) != name:
            raise ValueError(f"no such way to write base64: {name!r}")
        return variant

    def encode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The text of these decoded bytes, in pieces about as large as the chunks."""
        rest = b""
        for chunk in chunks:
            data = rest + chunk if rest else chunk
            whole = len(data) // 3 * 3
            rest = bytes(data[whole:])
            if whole:
                yield self._text(data[:whole])
        if rest:
            yield self._text(rest)

    def _text(self, data: bytes) -> bytes:
        text = binascii.b2a_base64(data, newline=False)
        if not self.padded:
            text = text.rstrip(b"=")
        if not self.standard:
            return text.translate(_TO_URL)
        return text.replace(b"/", b"\\/") if self.escaped else text


class Refused(Exception):
    """The text is not one that would come back exactly. No error of the document: it stays where it is."""


class Decoder:
    """Decodes one base64 text piece by piece and finds its :class:`Variant`.

    A piece that is refused changes nothing: the decoded bytes so far and :meth:`pending` are all text before it.
    """

    __slots__ = ("_held", "_padding", "_slash", "_standard", "_url")

    def __init__(self) -> None:
        self._standard = self._url = False
        self._slash: bool | None = None  # escaped or not; None: no slash yet
        self._held = b""  # up to three characters, in the standard alphabet
        self._padding = 0

    @property
    def variant(self) -> Variant:
        """As far as the text so far tells."""
        return Variant(self._standard, self._padding > 0, bool(self._slash))

    def pending(self) -> bytes:
        """Text that was taken in but is not in the decoded bytes yet, as it stood."""
        held = self._held.translate(_TO_URL) if self._url else self._held
        return (held.replace(b"/", b"\\/") if self._slash else held) + b"=" * self._padding

    def feed(self, piece: bytes, *, last: bool = False) -> bytes:
        """Decoded bytes of the text up to here; ``last``: the text ends with this piece. No piece may end between a
        backslash and its slash. Raises :class:`Refused`."""
        text, slash = piece, self._slash
        slashes = piece.count(b"/")
        if backslashes := piece.count(b"\\"):
            if backslashes != slashes or piece.count(b"\\/") != slashes:
                raise Refused
            text = piece.replace(b"\\/", b"/")
        if slashes:
            if slash not in (None, backslashes > 0):
                raise Refused
            slash = backslashes > 0
        characters = text.rstrip(b"=")
        padding = self._padding + len(text) - len(characters)
        if padding > 2 or (characters and self._padding):
            raise Refused
        standard = self._standard or slashes > 0 or b"+" in characters
        url = self._url or b"-" in characters or b"_" in characters
        if standard and url:
            raise Refused
        if url:
            characters = characters.translate(_FROM_URL)
        if characters.translate(None, _STANDARD):
            raise Refused
        if self._held:
            characters = self._held + characters
        whole = len(characters) // 4 * 4
        decoded, held = binascii.a2b_base64(characters[:whole]), characters[whole:]
        if last:
            decoded, held = decoded + _last_bytes(held, padding), b""
        self._held, self._padding, self._slash, self._standard, self._url = held, padding, slash, standard, url
        return decoded


def _last_bytes(held: bytes, padding: int) -> bytes:
    """The bytes of the last one to three characters; :class:`Refused` if they would not come back the same."""
    missing = -len(held) % 4
    if missing == 3 or padding not in (0, missing):
        raise Refused
    padded = held + b"=" * missing
    decoded = binascii.a2b_base64(padded)
    if binascii.b2a_base64(decoded, newline=False) != padded:
        raise Refused  # bits are set that stand for nothing
    return decoded


def decode(text: memoryview, variant: Variant, size: int = BLOCK) -> Iterator[bytes]:
    """The bytes of a text that was found to be written so, about ``size`` at a time."""
    step = max(4, size // 3 * 4)
    held = b""
    for start in range(0, len(text), step):
        piece = held + bytes(text[start : start + step])
        if variant.escaped:
            piece = piece.replace(b"\\", b"")
        elif not variant.standard:
            piece = piece.translate(_FROM_URL)
        whole = len(piece) // 4 * 4
        held = piece[whole:]
        if whole:
            yield binascii.a2b_base64(piece[:whole])
    if held:
        yield binascii.a2b_base64(held + b"=" * (-len(held) % 4))


class Hoisted:
    """A body that was taken out of the document's bytes while it was read.

    ``token`` is the ``content_hash`` of its decoded bytes, ``size`` how many they are, ``head`` the first 64. It can
    be read until its :class:`~vcon_platform.vcon.opened.Opened` is closed, by one thread at a time.
    """

    __slots__ = ("_decoded", "head", "size", "token", "variant")

    def __init__(
        self, token: str, size: int, head: bytes, variant: Variant, decoded: Callable[[int], Iterator[bytes]]
    ) -> None:
        self.token, self.size, self.head, self.variant = token, size, head, variant
        self._decoded = decoded

    @classmethod
    def of(cls, data: bytes, variant: Variant | None = None) -> Hoisted:
        """A body of these decoded bytes, as if it had stood in a document."""
        token = content_hash(hashlib.sha512(data).digest())
        return cls(token, len(data), data[:HEAD], variant or Variant(), lambda size: in_pieces(data, size))

    def chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The decoded bytes, about ``size`` at a time."""
        return self._decoded(size)

    def text_chunks(self) -> Iterator[bytes]:
        """The base64 text exactly as it stood between the quotes."""
        return self.variant.encode(self.chunks())

    def text(self) -> str:
        """The value of the JSON string, whole and in memory: only for what is known to be small."""
        return b"".join(self.text_chunks()).replace(b"\\", b"").decode("ascii")

    def __copy__(self) -> Hoisted:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Hoisted:
        return self

    def __repr__(self) -> str:
        return f"Hoisted({self.token!r}, {self.size})"


def in_pieces(data: bytes, size: int = BLOCK) -> Iterator[bytes]:
    """Slices of at most ``size`` bytes."""
    return (data[start : start + size] for start in range(0, len(data), size))


@dataclass(frozen=True, slots=True)
class Splice:
    """Where a text is to be put back: ``offset`` in the skeleton, the body's ``token`` and decoded ``size``, and the
    name of its :class:`Variant`."""

    offset: int
    token: str
    size: int
    variant: str

    def as_list(self) -> list[Any]:
        """As a JSON value, for the archive."""
        return [self.offset, self.token, self.size, self.variant]

    @classmethod
    def from_list(cls, value: list[Any]) -> Splice:
        """What :meth:`as_list` made."""
        return cls(*value)


def remake(skeleton: bytes, splices: Iterable[Splice], open_media: Callable[[str], Iterator[bytes]]) -> Iterator[bytes]:
    """The document's exact (inflated) bytes, in pieces. ``open_media`` gives the decoded bytes of a token; its errors
    pass through. Splices come in the order of their offsets, as they were made."""
    done = 0
    for splice in splices:
        yield skeleton[done : splice.offset]
        done = splice.offset
        yield from Variant.parse(splice.variant).encode(open_media(splice.token))
    yield skeleton[done:]

"""Writing a zip bundle (``.vconz``). Its form and reading it: ``bundle.py``.

The same documents and files always give the same bytes: entries have no date. Media is stored as it is, since audio
hardly shrinks and a silent recording would shrink so much that a careful reader takes it for a bomb.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast
from uuid import UUID

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.bundle import FORMAT, MANIFEST, RATIO_FROM
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import encode_base64url, normal_token

_EXTENSION = re.compile(r"[a-z0-9]{1,16}")


class BundleError(PlatformError):
    """Documents or files that do not make a bundle."""


def write_bundle(
    target: BinaryIO | Path,
    documents: Iterable[tuple[str, bytes]],
    files: Iterable[tuple[str, str, Iterable[bytes]]] = (),
) -> None:
    """Write documents (uuid, exact bytes) and files (content hash, media type or extension, chunks) as a bundle.

    Memory is bounded by the largest document. A file at a path appears there whole or not at all. A content hash that
    comes again is written once, and its chunks are not asked for. Raises :class:`BundleError` for a uuid or a hash in
    another form than the canonical one, a uuid that comes twice, and chunks that are not those of their hash."""
    if not isinstance(target, Path):
        _write(target, documents, files)
        return
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as spool:
        try:
            _write(cast("BinaryIO", spool), documents, files)
            spool.flush()
            os.fsync(spool.fileno())
            Path(spool.name).replace(target)
        except BaseException:
            Path(spool.name).unlink(missing_ok=True)
            raise


def _write(
    target: BinaryIO, documents: Iterable[tuple[str, bytes]], files: Iterable[tuple[str, str, Iterable[bytes]]]
) -> None:
    with zipfile.ZipFile(target, "w", allowZip64=True) as archive:
        archive.writestr(_entry(MANIFEST), orjson.dumps({"format": FORMAT, "version": "1.0"}))
        written: set[str] = set()
        for uuid, raw in documents:
            if not _canonical(uuid) or uuid in written:
                raise BundleError("a document's uuid is not in its canonical form, or came before; write each once")
            written.add(uuid)
            archive.writestr(_entry(f"vcons/{uuid}.json"), raw, _compression(raw))
        kinds = mimetypes.MimeTypes()  # the built-in table, not this machine's
        for token, kind, chunks in files:
            if normal_token(token) != token:
                raise BundleError("a file's content hash is not in its canonical form; write sha512-<base64url>")
            if token not in written:
                written.add(token)
                _write_file(archive, token, f"files/{token}.{_extension(kind, kinds)}", chunks)


def _write_file(archive: zipfile.ZipFile, token: str, name: str, chunks: Iterable[bytes]) -> None:
    label, _, _ = token.partition("-")
    digest = hashlib.new(label)
    with archive.open(_entry(name), "w", force_zip64=True) as entry:
        for chunk in chunks:
            digest.update(chunk)
            entry.write(chunk)
    if token != f"{label}-{encode_base64url(digest.digest())}":
        raise BundleError(f"the bytes given for {token} have another hash; read them again from where they are kept")


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # dated 1980-01-01
    info.create_system = 3  # Unix, whatever wrote it: what follows is a Unix mode
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _compression(raw: bytes) -> int:
    """Deflate, unless a careful reader would then take the document for a bomb."""
    if len(raw) <= RATIO_FROM:
        return zipfile.ZIP_DEFLATED
    engine, size = zlib.compressobj(wbits=-15), 0
    for start in range(0, len(raw), RATIO_FROM):
        size += len(engine.compress(raw[start : start + RATIO_FROM]))
    size += len(engine.flush())
    return zipfile.ZIP_STORED if len(raw) > size * Limits().ratio else zipfile.ZIP_DEFLATED


def _canonical(uuid: str) -> bool:
    try:
        return str(UUID(uuid)) == uuid
    except ValueError:
        return False


def _extension(kind: str, kinds: mimetypes.MimeTypes) -> str:
    if "/" in kind:
        kind = kinds.guess_extension(kind.partition(";")[0].strip().lower()) or ""
    kind = kind.removeprefix(".").lower()
    return kind if _EXTENSION.fullmatch(kind) else "bin"

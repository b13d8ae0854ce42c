"""The zip bundle (``.vconz``): several vCons and their media in one file (draft-miller-vcon-zip-bundle-00).

Belongs here: reading and writing the archive safely (vcon_format.md section 10). Not here: what the documents hold
(``opened.py``, ``received.py``), where media is kept (``store/media.py``).

    manifest.json                      {"format": "vcon-bundle", "version": "1.0"}
    vcons/<uuid>.json                  a document's exact bytes, in any form
    files/<content_hash>.<extension>   a file that a document names by url and content_hash

An archive is judged whole, by its directory, before anything in it is read: one bad entry refuses all of it, since who
writes one cannot be trusted with the others. Nothing is ever extracted to a place that the archive names. What is read
is streamed and checked against its size, its checksum and, for files, the hash in its name.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, BinaryIO, NoReturn, Self, cast

from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import encode_base64url, normal_token
from vcon_platform.vcon.strict_json import read_json

MANIFEST = "manifest.json"
FORMAT = "vcon-bundle"
CHUNK = 1 << 20
RATIO_FROM = 1 << 20
"""Bytes of an entry up to which its ratio is not judged: a short repetitive text may well shrink a hundredfold."""

_DOCUMENT = re.compile(r"vcons/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?:json|vcon)")
_FILE = re.compile(r"files/([^./]+)(?:\.([A-Za-z0-9.+-]{1,32}))?")
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_MANIFEST = 1 << 20
_MAX_FAULTS = 50
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError, ValueError)


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """What a bundle may be at most. ``directory_bytes``: of the archive's list of entries, which is held in memory.
    ``inflated_bytes``: of all entries together. ``document``: of each document, and the ratio of every entry."""

    entries: int = 20_000
    directory_bytes: int = 8 << 20
    inflated_bytes: int = 32 << 30
    document: Limits = field(default_factory=Limits)


class BundleEntry:
    """One document of a bundle. ``uuid``: by its name; the content's must be the same (:meth:`expect`)."""

    __slots__ = ("_archive", "_info", "name", "size", "uuid")

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, uuid: str) -> None:
        self._archive, self._info = archive, info
        self.uuid, self.name, self.size = uuid, info.filename, info.file_size

    def open(self) -> BinaryIO:
        """The document's exact bytes as a stream. Reading raises :class:`Rejected` where they are damaged."""
        return _open(self._archive, self._info)

    def read(self) -> bytes:
        """The document's exact bytes, whole."""
        with self.open() as stream:
            return stream.read()

    def expect(self, uuid: str) -> None:
        """Raises :class:`Rejected` (422 ``uuid_mismatch``) unless this is the uuid that the entry's name says."""
        if uuid != self.uuid:
            message = "the document's uuid is not the one its name in the bundle says; name the entry after the uuid"
            raise Rejected(Fault("uuid_mismatch", f"/{self.name}", message))


class BundleFile:
    """One media file of a bundle. ``token``: the content hash by its name."""

    __slots__ = ("_archive", "_info", "extension", "name", "size", "token")

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, token: str, extension: str) -> None:
        self._archive, self._info = archive, info
        self.token, self.extension, self.name, self.size = token, extension, info.filename, info.file_size

    def chunks(self) -> Iterator[bytes]:
        """The bytes, about a megabyte at a time. Raises :class:`Rejected`: ``bad_bundle`` where they are damaged and,
        after the last piece, ``hash_mismatch`` where they are not those of the name: keep nothing before the end."""
        label, _, _ = self.token.partition("-")
        digest = hashlib.new(label)
        with _open(self._archive, self._info) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                yield chunk
        if self.token != f"{label}-{encode_base64url(digest.digest())}":
            message = "the file is not the one whose hash is its name; build the bundle again"
            raise Rejected(Fault("hash_mismatch", f"/{self.name}", message))


class Bundle:
    """An open bundle: iterate over its documents; ``files`` has the media by content hash. ``ignored``: how many
    entries are neither (the draft's ``extensions/``, litter of archivers); they are never read. A context manager."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        documents: tuple[BundleEntry, ...],
        files: Mapping[str, BundleFile],
        ignored: int,
        source: IO[bytes] | None,
    ) -> None:
        self._archive, self._source = archive, source
        self.documents, self.files, self.ignored = documents, MappingProxyType(dict(files)), ignored

    def __iter__(self) -> Iterator[BundleEntry]:
        return iter(self.documents)

    def close(self) -> None:
        """Close the archive, and the file if it was opened here. Streams that are still open are of no use then."""
        self._archive.close()
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_bundle(source: BinaryIO | Path, limits: BundleLimits | None = None) -> Bundle:
    """Open a bundle; ``source`` is a file or a stream that can be sought. Its whole directory is judged here.

    Raises :class:`Rejected`: 413 ``bundle_too_large``; 422 ``unsafe_path`` (absolute, ``..``, backslash, drive, control
    character, a link or device), ``duplicate_entry``, ``duplicate_uuid``, ``bad_bundle`` (no zip, damaged, encrypted,
    overlapping, another compression, no or another manifest, names that the draft does not allow)."""
    limits = limits or BundleLimits()
    opened = source.open("rb") if isinstance(source, Path) else None
    try:
        archive = _directory(opened or cast("BinaryIO", source), limits)
        infos = archive.infolist()
        _bounded(infos, limits)
        _sound(infos, archive.start_dir)
        _manifest(archive)
        documents, files, ignored = _sorted(archive, infos)
    except BaseException:
        if opened is not None:
            opened.close()
        raise
    return Bundle(archive, documents, files, ignored, opened)


class _DirectoryGuard:
    """Stands between zipfile and the source while the directory is read: zipfile reads all of it into memory and makes
    an object of each entry, however many an attacker lists."""

    def __init__(self, source: BinaryIO, limits: BundleLimits) -> None:
        self._source, self._limits = source, limits
        self.armed = True

    def read(self, size: int = -1) -> bytes:
        if self.armed and size > self._limits.directory_bytes:
            raise Rejected(_too_large(f"its directory has more than {self._limits.directory_bytes} bytes"))
        data = self._source.read(size)
        if self.armed and data.count(b"PK\x01\x02") > self._limits.entries:
            raise Rejected(_too_large(f"it has more than {self._limits.entries} entries"))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _directory(source: BinaryIO, limits: BundleLimits) -> zipfile.ZipFile:
    guard = _DirectoryGuard(source, limits)
    try:
        archive = zipfile.ZipFile(cast("BinaryIO", guard))
    except _DAMAGED:
        _bad("", "it is no zip archive, or its directory is damaged; build the bundle again")
    guard.armed = False
    return archive


def _bounded(infos: list[zipfile.ZipInfo], limits: BundleLimits) -> None:
    """What the directory promises; what is read later is held to it (:func:`_open`)."""
    ratio, most = limits.document.ratio, limits.document.inflated_bytes
    inflated = sum(info.file_size for info in infos)
    if len(infos) > limits.entries:
        raise Rejected(_too_large(f"it has more than {limits.entries} entries"))
    if inflated > limits.inflated_bytes:
        raise Rejected(_too_large(f"it holds more than {limits.inflated_bytes} bytes"))
    if inflated > max(RATIO_FROM, ratio * sum(info.compress_size for info in infos)):
        raise Rejected(_too_large(f"its entries are over {ratio} times their compressed size"))
    for number, info in enumerate(infos):
        if info.filename.startswith("vcons/") and info.file_size > most:
            raise Rejected(_too_large(f"entry {number} has more than {most} bytes"))
        if info.file_size > max(RATIO_FROM, ratio * info.compress_size):
            raise Rejected(_too_large(f"entry {number} is over {ratio} times its compressed size"))


def _sound(infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Names, kinds and places of all entries, whatever they are for."""
    faults: list[Fault] = []
    names: set[str] = set()
    for number, info in enumerate(infos):
        name = info.orig_filename  # as it stands: filename ends at the first NUL
        if _unsafe(name) or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            message = f"entry {number} has a path that leads out of the bundle, or is no file; build the bundle again"
            faults.append(Fault("unsafe_path", "", message))
        elif name in names:
            message = f"entry {number} has a name that was there before; give each entry its own"
            faults.append(Fault("duplicate_uuid" if _DOCUMENT.fullmatch(name) else "duplicate_entry", "", message))
        elif info.flag_bits & 0x2061:  # encrypted, patched, strongly encrypted, masked
            faults.append(Fault("bad_bundle", "", f"entry {number} is encrypted; encrypt the vCon, not the bundle"))
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            message = f"entry {number} is compressed in a way that the draft does not have; use deflate"
            faults.append(Fault("bad_bundle", "", message))
        elif info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            faults.append(Fault("bad_bundle", "", f"entry {number} has two sizes; build the bundle again"))
        names.add(name)
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end or (end == 0 and info.header_offset != 0):
            faults.append(Fault("bad_bundle", "", "entries overlap, or something stands before them; build it again"))
            break
        end = info.header_offset + zipfile.sizeFileHeader + len(info.orig_filename) + info.compress_size  # type: ignore[attr-defined]
    if end > directory:
        faults.append(Fault("bad_bundle", "", "entries reach into the directory; build the bundle again"))
    if faults:
        raise Rejected(*faults[:_MAX_FAULTS])


def _unsafe(name: str) -> bool:
    parts = name.removesuffix("/").split("/")
    return (
        "\\" in name
        or _DRIVE.match(name) is not None
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(character) < 32 or ord(character) == 127 for character in name)
    )


def _manifest(archive: zipfile.ZipFile) -> None:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError:
        _bad("", f"there is no {MANIFEST}; add it at the top of the bundle")
    if info.file_size > _MAX_MANIFEST:
        raise Rejected(_too_large(f"{MANIFEST} has more than {_MAX_MANIFEST} bytes"))
    with _open(archive, info) as stream:
        raw = stream.read()
    try:
        manifest = read_json(raw, Limits(document_bytes=_MAX_MANIFEST))
    except Rejected as rejected:
        _bad(f"/{MANIFEST}", f"it is not strict JSON ({rejected.code}); write format and version")
    known = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    if not known or not str(manifest.get("version")).startswith("1."):
        _bad(f"/{MANIFEST}", f'its format and version are not "{FORMAT}" and "1.0"; no other is read')


def _sorted(
    archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]
) -> tuple[tuple[BundleEntry, ...], dict[str, BundleFile], int]:
    documents: dict[str, BundleEntry] = {}
    files: dict[str, BundleFile] = {}
    faults: list[Fault] = []
    ignored = 0
    for number, info in enumerate(infos):
        name = info.filename
        if name.endswith("/") or name == MANIFEST:
            continue
        if name.startswith("vcons/"):
            found = _DOCUMENT.fullmatch(name)
            if found is None:
                message = f"entry {number} is not named after a uuid; name it vcons/<uuid>.json, in lower case"
                faults.append(Fault("bad_bundle", "", message))
            elif found[1] in documents:
                message = f"entry {number} is a second document of one uuid; send revisions one after the other"
                faults.append(Fault("duplicate_uuid", f"/{name}", message))
            else:
                documents[found[1]] = BundleEntry(archive, info, found[1])
        elif name.startswith("files/"):
            found = _FILE.fullmatch(name)
            token = normal_token(found[1]) if found else None
            if found is None or token is None:
                message = f"entry {number} is not named after a content hash; name it files/sha512-<base64url>.<type>"
                faults.append(Fault("bad_bundle", "", message))
            elif token in files:
                ignored += 1  # the same content under another extension
            else:
                files[token] = BundleFile(archive, info, token, found[2] or "")
        else:
            ignored += 1
    if faults:
        raise Rejected(*faults[:_MAX_FAULTS])
    return tuple(documents.values()), files, ignored


class _Checked(io.RawIOBase):
    """An entry's bytes, held to what the directory says, with every error of zipfile and zlib told as ours."""

    def __init__(self, stream: IO[bytes], info: zipfile.ZipInfo) -> None:
        self._stream, self._info = stream, info
        self._left = info.file_size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGED:
            _bad(f"/{self._info.filename}", "it is damaged; build the bundle again")
        self._left -= len(data)
        if not data and buffer and self._left:
            _bad(f"/{self._info.filename}", "it is not as long as the directory says; build the bundle again")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    try:
        stream = archive.open(info)
    except _DAMAGED:
        _bad(f"/{info.filename}", "it is not where the directory says; build the bundle again")
    return io.BufferedReader(_Checked(stream, info), 1 << 16)


def _bad(pointer: str, message: str) -> NoReturn:
    raise Rejected(Fault("bad_bundle", pointer, message)) from None


def _too_large(what: str) -> Fault:
    return Fault("bundle_too_large", "", f"{what}; send fewer documents at a time", 413)

"""The exact bytes that somebody posted, given back.

Belongs here: putting them together from the archive and the media store, and keeping bytes that were made here. Not
here: taking them apart (``vcon/bodies.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from vcon_platform.store.documents import DocumentStore, Missing
from vcon_platform.store.media import MediaError, MediaStore
from vcon_platform.store.records import Original
from vcon_platform.vcon.bodies import Splice, remake
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import open_document


def find_original(documents: DocumentStore, uuid: str, *, revision: int | None = None) -> Original:
    """The original that was posted last, or as this revision. Raises :class:`Missing`."""
    record = documents.history(uuid).posted(revision)
    if record is None or record.original is None:
        which = "" if revision is None else f" as revision {revision}"
        raise Missing(f"the archive has no content that was posted{which} for vCon {uuid}")
    return record.original


def original_bytes(original: Original, media: MediaStore) -> Iterator[bytes]:
    """The bytes exactly as they came, in pieces. Raises :class:`MediaError` at the end if they are not those (their
    SHA-256 tells), so a reader must not believe them before the last piece."""
    if original.apart:
        pieces = media.open(original.apart)
    else:
        splices = [Splice.from_list(list(splice)) for splice in original.splices]
        pieces = remake(original.skeleton, splices, media.open)
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != original.sha256:
        raise MediaError("the original cannot be put together any more: its SHA-256 is not the one it came with")


def kept_original(raw: bytes, media: MediaStore) -> Original:
    """An original that was made here (a signed or encrypted form), its long members kept as media. Raises
    :class:`~vcon_platform.vcon.faults.Rejected` for bytes that no reader could read."""
    largest = max(Limits().document_bytes, len(raw))
    limits = Limits(document_bytes=largest, inflated_bytes=largest)
    with open_document(raw, media_type=None, limits=limits, hoist_over=media.inline_max) as opened:
        for body in opened.bodies:
            media.keep_hoisted(body)
        splices = tuple(tuple(splice.as_list()) for splice in opened.splices)
        return Original(opened.sha256, opened.size, opened.skeleton, splices)

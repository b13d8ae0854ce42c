"""Bundles (``.vconz``): every document of one goes through the door, with the files that came with it.

Belongs here: the walk over a bundle. Not here: what is safe in an archive (``vcon/bundle.py``), the door (``door.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, cast

from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.beside import Beside
from vcon_platform.ingress.door import Door
from vcon_platform.store.media import MediaStore
from vcon_platform.vcon.bundle import read_bundle
from vcon_platform.vcon.faults import Rejected


def take_bundle(
    door: Door, media: MediaStore, content: IO[bytes], source: Source
) -> Iterator[tuple[str, Answer | Rejected]]:
    """Take every document of a bundle in; gives its name in there with what became of it. One that is refused harms no
    other. Raises :class:`Rejected` where the bundle itself is not safe or damaged: nothing of it is taken in then.

    Its files are kept first, each checked against the hash that is its name; one that no document names is swept."""
    with read_bundle(content) as bundle:  # type: ignore[arg-type]  # IO[bytes] has all that is asked of a BinaryIO
        files = {token: media.keep_chunks(file.chunks()) for token, file in bundle.files.items()}
        for entry in bundle:
            with entry.open() as document:
                try:
                    answer: Answer | Rejected = door.take(
                        cast("IO[bytes]", document), source, beside=Beside(files, entry.expect)
                    )
                except Rejected as rejected:
                    answer = rejected
            yield entry.name, answer

"""What comes with a document in a bundle: its name there, and the files that it names by url and hash.

Belongs here: joining the two. Not here: the archive's format (``vcon/bundle.py``), walking it (``bundles.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vcon_platform.store.media import SCHEME
from vcon_platform.vcon.media import normal_token
from vcon_platform.vcon.received import Received


@dataclass(frozen=True, slots=True)
class Beside:
    """``files``: content hash to the token under which the media store keeps the file. ``expect``: is told the
    document's uuid, and refuses it where the bundle says another."""

    files: Mapping[str, str]
    expect: Callable[[str], object]

    def join(self, received: Received) -> None:
        """Let the document's elements point at the files that came with it. The hash was checked against the file's
        bytes, so this believes nothing that the document merely claims. Raises :class:`Rejected`."""
        self.expect(received.uuid)
        for array in ("dialog", "attachments", "analysis"):
            for element in received.data.get(array) or ():
                if "url" not in element:
                    continue
                claimed = element.get("content_hash")
                for hash_ in claimed if isinstance(claimed, list) else [claimed]:
                    token = self.files.get(normal_token(hash_) or "") if isinstance(hash_, str) else None
                    if token is not None:
                        element["url"] = f"{SCHEME}{token}"
                        break

"""What every processor that listens does alike: which dialogs are recordings, whose bytes they are, how to hash them.

Not here: how they are heard (``transcribe.py``, ``deepgram.py``), or where bytes are kept (the ``MediaReader``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import MediaReader, PermanentError, ProcessorError, TransientError
from vcon_platform.vcon.document import Vcon


def recordings(vcon: Vcon, among: Collection[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The dialogs that are recordings with a body, with their indexes; of these only, if given."""
    for index, dialog in enumerate(vcon.dialog):
        if among is not None and index not in among:
            continue
        if isinstance(dialog, dict) and dialog.get("type") == "recording" and (dialog.get("body") or dialog.get("url")):
            yield index, dialog


def own_hash(media: MediaReader, dialog: Mapping[str, Any]) -> str:
    """The recording's content hash, to keep results by. A hash that stands beside an inline body is somebody's claim;
    taken as the key, a false one would give this conversation another one's words. So an inline body, which is small,
    is hashed here."""
    source = {k: v for k, v in dialog.items() if k != "content_hash"} if "body" in dialog else dialog
    return media.content_hash(source)


@contextmanager
def reading(index: int) -> Iterator[None]:
    """Turns what goes wrong with the bytes of a recording into this dialog's PermanentError or TransientError."""
    try:
        yield
    except ProcessorError:
        raise
    except PlatformError as error:
        if error.transient:
            raise TransientError(f"recording of dialog {index} cannot be had just now: {error}") from error
        raise PermanentError(
            f"recording of dialog {index} cannot be read: {error}; restore it and re-execute"
        ) from error

"""What every processor that listens does alike: which dialogs are recordings, whose bytes they are, how to hash them,
whether they last long enough.

Not here: how they are heard (``transcribe.py``, ``deepgram.py``), or where bytes are kept (the ``MediaReader``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.processors.audio import AudioError, survey
from vcon_platform.processors.base import (
    MediaReader,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorError,
    ProcessorIO,
    TransientError,
)
from vcon_platform.processors.speech import Recording
from vcon_platform.vcon.dialogs import duration
from vcon_platform.vcon.document import Vcon


def recordings(vcon: Vcon, among: Collection[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The dialogs that are recordings with a body, with their indexes; of these only, if given."""
    for index, dialog in enumerate(vcon.dialog):
        if among is not None and index not in among:
            continue
        if isinstance(dialog, dict) and dialog.get("type") == "recording" and (dialog.get("body") or dialog.get("url")):
            yield index, dialog


def recording_of(
    io: ProcessorIO, processor: Processor[Any], index: int, dialog: dict[str, Any], *, url: str | None = None
) -> Recording:
    """The recording of a dialog as an engine sees it. ``url``: the address that a service may be given in place of the
    bytes; results are then kept by it, because the bytes are never seen here."""
    media, context = io.context.media, io.context
    own = own_hash(media, dialog) if url is None else f"url {hashlib.sha256(url.encode()).hexdigest()}"
    return Recording(
        where=f"recording of dialog {index}",
        read=lambda: media.body(dialog),
        buy=lambda parts, call: io.buy(processor, (own, *parts), call),
        keep=lambda parts, compute: context.results.get_or_compute(
            (processor.name, processor.version, own, "whole", *parts), compute
        ),
        seconds=context.remaining,
        url=url,
    )


def own_hash(media: MediaReader, dialog: Mapping[str, Any]) -> str:
    """The recording's content hash, to keep results by. A hash that stands beside an inline body is somebody's claim;
    taken as the key, a false one would give this conversation another one's words. So an inline body, which is small,
    is hashed here."""
    source = {k: v for k, v in dialog.items() if k != "content_hash"} if "body" in dialog else dialog
    return media.content_hash(source)


def long_ones(
    media: MediaReader, among: Sequence[tuple[int, dict[str, Any]]], least: float
) -> list[tuple[int, dict[str, Any]]]:
    """Those that last ``least`` seconds or longer. Raises NotApplicable where none does."""
    found = [(index, dialog) for index, dialog in among if _long_enough(media, index, dialog, least)]
    if not found:
        raise NotApplicable(f"no recording lasts {least:g} s or longer")
    return found


def _long_enough(media: MediaReader, index: int, dialog: Mapping[str, Any], least: float) -> bool:
    """Whether a recording lasts ``least`` seconds, as the dialog says; where it does not say, by decoding it. What we
    cannot decode is long enough: a service perhaps can, or says what is wrong with it."""
    if least <= 0:
        return True
    told = duration(dialog)
    if told is None:
        with reading(index):
            body = media.body(dialog)
        try:
            told = survey(body).duration
        except AudioError:
            return True
    return told >= least


@contextmanager
def reading(index: int) -> Iterator[None]:
    """Turns what goes wrong with the bytes of a recording into this dialog's PermanentError or TransientError."""
    try:
        yield
    except ProcessorError:
        raise
    except AudioError as error:
        raise PermanentError(
            f"recording of dialog {index} cannot be decoded as audio ({error}); replace the recording and re-execute"
        ) from None
    except PlatformError as error:
        if error.transient:
            raise TransientError(f"recording of dialog {index} cannot be had just now: {error}") from error
        raise PermanentError(
            f"recording of dialog {index} cannot be read: {error}; restore it and re-execute"
        ) from error

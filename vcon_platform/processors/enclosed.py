"""A vCon within an effect: as it was when a processor asked for the effect, small, and whole again when it is sent.

Belongs here: packing and unpacking, what makes two of them the same. Not here: sending one (``webhook.py``,
``send_email.py``).

Why it is packed and not read again when it is sent: later processors of the pipeline change the document (``diet``
takes its recordings out), and a pipeline need not keep it at all. Recordings that stand beside the document stay there
until it is sent; the media store keeps what any revision names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import MediaReader, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.originals import originals
from vcon_platform.projections.rows import PURPOSE
from vcon_platform.store.media import token_of
from vcon_platform.vcon.export import ExportVersion, export
from vcon_platform.vcon.media import encode_base64url

Media = Literal["inline", "none"]
Sealed = Literal["form", "view"]
"""How a signed or encrypted vCon goes out: in the form that it has, or as what can be read of it here."""
MOST_EXACT = 16 << 20
"""Bytes of a signed or encrypted vCon that goes out in its form: they wait in Redis."""
MOST_BYTES = 64 << 20
"""Of a vCon as it is sent."""
_WRITTEN_LATER = frozenset({"processed_at", "updated_at"})
_ARRAYS = ("dialog", "analysis", "attachments")


def pack(data: Mapping[str, Any]) -> str:
    """The document as a text that JSON can hold, a fourth or so of its size."""
    return pack_bytes(orjson.dumps(data))


def unpack(packed: str) -> dict[str, Any]:
    """What :func:`pack` packed."""
    value: dict[str, Any] = orjson.loads(unpack_bytes(packed))
    return value


def form_of(io: ProcessorIO) -> str:
    """``unsigned``, ``signed`` or ``encrypted``, as far as it can be told here."""
    vcon, lent = io.vcon, io.context.originals
    if lent is not None:
        return lent.form(vcon)
    if vcon.envelope is not None:
        return vcon.envelope.meta.get("form", "unsigned")
    return "unsigned" if vcon.sealed is None else "signed"


def exact(io: ProcessorIO) -> bytes | None:
    """The exact bytes of a vCon that is signed or encrypted, None for any other. What was added beside a signed one is
    not in them. Raises PermanentError where they are too many or not to be had, TransientError where a store is
    away."""
    vcon, form = io.vcon, form_of(io)
    if form == "unsigned":
        return None
    try:
        raw = vcon.envelope.raw if vcon.envelope is not None else originals(io).raw(vcon)
    except PermanentError:
        raise
    except PlatformError as error:
        if error.transient:
            raise TransientError(str(error)) from None
        raise PermanentError(str(error)) from None
    if len(raw) > MOST_EXACT:
        raise PermanentError(
            f"vCon {vcon.uuid} is {form} and has {len(raw)} bytes, more than the {MOST_EXACT} that can wait to be sent "
            "in that form; send what can be read of it (sealed: view), or a notice"
        )
    return raw


def pack_bytes(raw: bytes) -> str:
    """Bytes as a text that JSON can hold."""
    from base64 import b64encode

    import zstandard

    return b64encode(zstandard.ZstdCompressor(level=3).compress(raw)).decode()


def unpack_bytes(packed: str) -> bytes:
    """What :func:`pack_bytes` packed."""
    from base64 import b64decode

    import zstandard

    return zstandard.ZstdDecompressor().decompress(b64decode(packed), max_output_size=1 << 30)


def written(
    data: Mapping[str, Any], media: MediaReader, *, version: ExportVersion, bodies: Media, most: int = MOST_BYTES
) -> bytes:
    """The document as JSON of this version. ``bodies``: ``inline`` puts recordings that stand beside it into it,
    ``none`` leaves the bodies of all dialogs out, their ``content_hash`` in. Raises PermanentError where it would have
    more than ``most`` bytes, and what :func:`body_of` raises."""
    shown = dict(data)
    size = 0
    for array in _ARRAYS:
        elements = data.get(array)
        if not isinstance(elements, list):
            continue
        shown[array] = [dict(each) if isinstance(each, dict) else each for each in elements]
        for index, each in enumerate(shown[array]):
            if not isinstance(each, dict):
                continue
            token = token_of(each.get("url"))
            if bodies == "none" and array == "dialog" and (token is not None or "body" in each):
                _without_body(each, token)
            elif token is not None:
                body = body_of(each, media, f"/{array}/{index}")
                size += len(body) * 4 // 3
                if size > most:
                    raise _too_large(most)
                del each["url"]
                if each.get("content_hash") == token:  # it stands there for the url's sake
                    del each["content_hash"]
                each |= {"body": encode_base64url(body), "encoding": "base64url"}
    raw = orjson.dumps(export(shown, version))
    if len(raw) > most:
        raise _too_large(most)
    return raw


def body_of(entry: Mapping[str, Any], media: MediaReader, place: str) -> bytes:
    """The bytes of an element's body. Raises TransientError where a store is away, PermanentError where there is
    none."""
    try:
        return media.body(entry)
    except PlatformError as error:
        if error.transient:
            raise TransientError(f"{place}: {error}") from None
        raise PermanentError(f"{place}: {error}") from None


def digest(data: Mapping[str, Any]) -> str:
    """Tells two states of a document apart: by all that it holds, but for moments at which something was written down
    and for projections' rows, which say how the pipeline went."""
    kept = _timeless(data)
    attachments = kept.pop("attachments", None)
    if isinstance(attachments, list):
        attachments = [each for each in attachments if not (isinstance(each, dict) and each.get("purpose") == PURPOSE)]
    if attachments:
        kept["attachments"] = attachments
    return hashlib.sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _without_body(each: dict[str, Any], token: str | None) -> None:
    for member in ("body", "encoding") if token is None else ("url",):
        each.pop(member, None)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name not in _WRITTEN_LATER}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def _too_large(most: int) -> PermanentError:
    return PermanentError(f"the vCon has more than {most} bytes with its recordings; leave them out (media: none)")

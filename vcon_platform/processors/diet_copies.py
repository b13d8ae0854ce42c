"""Recordings put somewhere else before they are taken out of a vCon, and read back from there.

Belongs here: an object store of the operator's, a service that is posted to, and the address under which each is found
afterwards. Not here: what is taken out (``diet.py``).

A copy counts only when its bytes were read back and have the recording's hash. Done again, it is the same copy in the
same place: names are made of the vCon's uuid and the content's hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import orjson

from vcon_platform.processors.base import OutcomeUnknown, PermanentError, TransientError
from vcon_platform.processors.outgoing import address_of, refusal, send
from vcon_platform.processors.references import needed
from vcon_platform.store.objects import SETTING, ObjectsUnavailable, explained, open_objects
from vcon_platform.vcon.media import content_hash_of, encode_base64url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MOST_POSTED = 64 << 20
"""Bytes of a recording that is posted, or read back over HTTP."""
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Recording:
    """What is to be copied. ``where``: its place in the vCon; ``kind``: its media type or ""."""

    vcon_uuid: str
    index: int
    where: str
    kind: str
    content: bytes
    token: str


class Copies(Protocol):
    """Somewhere else."""

    def keep(self, recording: Recording) -> str:
        """Put a copy there, read it back, and give the url under which it is. Raises TransientError or
        PermanentError."""
        ...


class InStore:
    """Copies in an object store that a variable names. ``public_url``: what comes before a copy's name in its url,
    where that is another address than the store's own. ``signed_for``: seconds that the url is good for, None: it is
    not signed."""

    def __init__(self, named: str, public_url: str, signed_for: int | None) -> None:
        self._variable = named.removeprefix("env:")
        self._public = public_url
        self._signed_for = signed_for
        try:
            self._objects = open_objects(needed(named, "The store for copies", "copies"))
        except ObjectsUnavailable as error:
            raise self._told(error, "") from None
        if not public_url and _base_of(self._objects) is None:
            raise PermanentError("/public_url: is empty; a store of this kind has no https address of its own")

    def keep(self, recording: Recording) -> str:
        """See :class:`Copies`."""
        import obstore

        suffix = {"audio/x-wav": ".wav", "audio/wav": ".wav"}.get(recording.kind) or guess_extension(recording.kind)
        key = f"{recording.vcon_uuid}/{recording.token}{suffix or ''}"
        attributes: Any = {"Content-Type": recording.kind} if recording.kind and self._sets_types else None
        try:
            with explained(self._objects):
                obstore.put(self._objects, key, recording.content, attributes=attributes)
                back = bytes(obstore.get(self._objects, key).bytes())
        except ObjectsUnavailable as error:
            raise self._told(error, f"{recording.where}: ") from None
        except FileNotFoundError:
            back = b""
        if content_hash_of(back) != recording.token:
            raise TransientError(
                f"{recording.where}: its copy could not be read back as it was put; nothing was taken out"
            )
        return self._url(key)

    @property
    def _sets_types(self) -> bool:
        return _base_of(self._objects) is not None  # folders and memory know no media types

    def _url(self, key: str) -> str:
        if self._public:
            return f"{self._public.rstrip('/')}/{quote(key)}"
        if self._signed_for is not None:
            from obstore import sign

            signing: Any = self._objects
            return str(sign(signing, "GET", key, timedelta(seconds=self._signed_for)))
        return f"{_base_of(self._objects)}/{quote(key)}"

    def _told(self, error: ObjectsUnavailable, where: str) -> TransientError | PermanentError:
        message = where + str(error).replace(SETTING, f"the variable {self._variable}")
        return TransientError(message) if error.transient else PermanentError(message)


class Posted:
    """Copies with a service that takes ``{content, vcon_uuid, dialog_id, mediatype, encoding}`` and answers with the
    ``url`` of what it kept, as the conserver's diet has it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._address = address_of(url, "The store for copies", "post_media_to_url")

    def keep(self, recording: Recording) -> str:
        """See :class:`Copies`."""
        where = recording.where
        if len(recording.content) > MOST_POSTED:
            raise PermanentError(f"{where}: it has more than {MOST_POSTED} bytes; use the option copies instead")
        request = {
            "content": encode_base64url(recording.content),
            "encoding": "base64url",
            "mediatype": recording.kind or None,
            "vcon_uuid": recording.vcon_uuid,
            "dialog_id": str(recording.index),
        }
        key = sha256(f"{recording.vcon_uuid} {recording.index} {recording.token}".encode()).hexdigest()[:40]
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": key}
        try:
            answer = send(self._address, headers=headers, content=orjson.dumps(request), seconds=SECONDS)
        except OutcomeUnknown as error:  # it may have it; posted again it is told so by the key
            raise TransientError(f"{where}: {error}; nothing was taken out") from None
        if not answer.fine:
            raise refusal(self._address, answer, "the copy")
        url = _told_url(answer.body)
        if url is None:
            raise PermanentError(
                f"{where}: {self._address.shown} took the recording and answered without the url of its copy; nothing "
                "was taken out"
            )
        self._read_back(recording, url)
        return url

    def _read_back(self, recording: Recording, url: str) -> None:
        """Raises unless the bytes of the recording are at this url."""
        where = recording.where
        try:
            address = address_of(url, "The store for copies", "url")
        except PermanentError as error:
            raise PermanentError(f"{where}: the url of its copy cannot be read back: {error}") from None
        try:
            answer = send(address, method="GET", seconds=SECONDS, most=MOST_POSTED)
        except OutcomeUnknown as error:
            raise TransientError(f"{where}: its copy could not be read back: {error}; nothing was taken out") from None
        if not answer.fine:
            raise refusal(address, answer, "when the copy was read back,")
        if content_hash_of(answer.body) != recording.token:
            raise PermanentError(
                f"{where}: what {address.shown} gives back is not the recording's bytes; nothing was taken out"
            )


def _told_url(body: bytes) -> str | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    url = answer.get("url") if isinstance(answer, dict) else None
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def _base_of(objects: ObjectStore) -> str | None:
    """The address that a store's objects have by themselves, None where they have none."""
    config: Mapping[str, Any] = getattr(objects, "config", None) or {}
    prefix = str(getattr(objects, "prefix", None) or "").strip("/")
    tail = f"/{quote(prefix)}" if prefix else ""
    match type(objects).__name__:
        case "S3Store":
            bucket, endpoint = config.get("bucket"), config.get("endpoint") or config.get("aws_endpoint")
            if endpoint:
                return f"{str(endpoint).rstrip('/')}/{bucket}{tail}"
            region = config.get("region") or "us-east-1"
            if "." in str(bucket):  # no certificate fits a name with further dots
                return f"https://s3.{region}.amazonaws.com/{bucket}{tail}"
            return f"https://{bucket}.s3.{region}.amazonaws.com{tail}"
        case "GCSStore":
            return f"https://storage.googleapis.com/{config.get('bucket')}{tail}"
        case "AzureStore":
            return f"https://{config.get('account_name')}.blob.core.windows.net/{config.get('container_name')}{tail}"
    return None

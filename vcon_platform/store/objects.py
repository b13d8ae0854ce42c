"""The object store: opened from a URL, with errors that name the store and the cure.

Belongs here: which stores there are, how one is reached, what its errors mean. Not here: what is kept in it and under
which names (``media.py``, ``archive.py``, ``checkpoints.py``).

A URL is no secret: it is shown in logs and errors, and stands in ``.env`` and definitions. So it never holds a
credential, only the name of the environment variable that does (``access_key_id=env:MY_KEY``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

SETTING = "VCON_OBJECT_STORE_URL"
CLOUDS = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
"""Scheme to the beginning of the environment variables that its credentials come from."""
_HELP = "use a folder, file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix?account_name=…"
_SECRET = re.compile(r"key|secret|token|password")
_YES = ("1", "true", "yes", "on")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|specified (bucket|container) does not exist")


class ObjectsUnavailable(PlatformError):
    """The object store cannot be reached, or refuses; what was to be written is not there. ``transient``: the same may
    succeed soon, without anybody doing anything."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def local_objects(folder: Path) -> ObjectStore:
    """An object store in a local folder, which is made if need be. Raises :class:`ObjectsUnavailable`."""
    from obstore.store import LocalStore

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ObjectsUnavailable(f"the folder {folder} cannot be made: {error.strerror}; correct {SETTING}") from None
    return LocalStore(str(folder))


def open_objects(url: str, environment: Mapping[str, str] | None = None) -> ObjectStore:
    """The object store at ``url``. Does not connect yet.

    A folder or ``file:`` url; ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix`` with the
    store's options as query parameters (``endpoint``, ``region``, ``account_name``, ``allow_http=true``…) and
    credentials from the environment, as each cloud's own tools read them, or by ``env:`` references; ``memory://`` for
    tests. Raises :class:`ObjectsUnavailable` for a URL that cannot be used.
    """
    from obstore.exceptions import BaseError
    from obstore.store import MemoryStore, from_url

    env = os.environ if environment is None else environment
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return local_objects(Path(unquote(parts.path) if parts.scheme else url).absolute())
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme not in CLOUDS:
        raise ObjectsUnavailable(f"{SETTING}: the scheme {parts.scheme[:20]!r} is not known; {_HELP}")
    if not parts.hostname or parts.username or parts.password:
        raise ObjectsUnavailable(f"{SETTING}: it must name a bucket and hold no credentials; {_HELP}")
    config = _options(parts.query, env)
    allowed = str(config.pop("allow_http", env.get(f"{CLOUDS[parts.scheme]}_ALLOW_HTTP", ""))).lower() in _YES
    if parts.scheme == "s3" and not allowed and _endpoint(config, env).startswith("http:"):
        raise ObjectsUnavailable(
            f"{SETTING}: the endpoint is plain http, so recordings would travel in the clear; "
            "use https, or allow it with allow_http=true (or AWS_ALLOW_HTTP=true)"
        )
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    try:
        options: Any = {"config": config, "client_options": _client(allowed), "retry_config": _retries()}
        return from_url(bare, **options)
    except (BaseError, ValueError) as error:
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ObjectsUnavailable(f"{SETTING}: {bare} cannot be used ({told}); {_HELP}") from None


def _options(query: str, env: Mapping[str, str]) -> dict[str, str]:
    config: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if value.startswith("env:"):
            variable = value.removeprefix("env:")
            if not env.get(variable):
                raise ObjectsUnavailable(f"{SETTING}: {name} refers to {variable}, which is not set; set it")
            config[name] = env[variable]
        elif _SECRET.search(name.lower()):
            raise ObjectsUnavailable(
                f"{SETTING}: {name} stands in the URL, where logs show it; write {name}=env:NAME and set NAME"
            )
        else:
            config[name] = value
    return config


def _endpoint(config: Mapping[str, str], env: Mapping[str, str]) -> str:
    names = ("aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint")
    for name in (*names, *(each.removeprefix("aws_") for each in names)):
        if config.get(name):
            return config[name].lower()
    return next((env[name.upper()].lower() for name in names if env.get(name.upper())), "")


def _client(allow_http: bool) -> ClientConfig:
    # ``timeout`` counts until the last byte of an answer: a recording may take its time, a silent server may not.
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(minutes=10),
    }


def _retries() -> RetryConfig:
    return {
        "max_retries": 4,
        "retry_timeout": timedelta(seconds=60),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
    }


def describe(objects: ObjectStore) -> str:
    """The store's name for people: its folder or URL, never a credential."""
    config: Mapping[str, Any] = getattr(objects, "config", None) or {}
    kind = type(objects).__name__.removesuffix("Store")
    prefix = str(getattr(objects, "prefix", None) or "")
    if kind == "Local":
        return f"the folder {prefix}"
    scheme = {"S3": "s3", "GCS": "gs", "Azure": "az"}.get(kind)
    if scheme is None:
        return "the memory"
    bucket = config.get("bucket") or config.get("container_name") or ""
    return f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")


@contextmanager
def explained(objects: ObjectStore) -> Iterator[None]:
    """Wrap what is asked of ``objects``: its errors become :class:`ObjectsUnavailable`. What a caller must decide by
    itself passes: FileNotFoundError (no such object; a bucket that is missing is *not* that), and the answers to a
    conditional write."""
    from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError

    try:
        yield
    except (AlreadyExistsError, PreconditionError, NotModifiedError):
        raise
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise _missing(objects) from None
        raise
    except BaseError as error:
        raise _explain(objects, error) from None


def _missing(objects: ObjectStore) -> ObjectsUnavailable:
    return ObjectsUnavailable(f"the object store {describe(objects)} does not exist: create it, or correct {SETTING}")


_CAUSES: tuple[tuple[str, str, bool], ...] = (
    (r"os error (28|122)\b", "is full: free space or move it to a larger disk; nothing was written", True),
    (r"os error 30\b", f"is read-only: mount it for writing, or correct {SETTING}", False),
    (r"os error (1|13)\b", "refuses access: give the user that runs vcon-platform read and write access", False),
    (r"os error 24\b", "cannot open more files: raise the limit (ulimit -n)", True),
    (
        r"169\.254\.169\.254|metadata\.google\.|MissingCred|Missing(Access|Secret)",
        "{credentials}",
        False,
    ),
    (r"URL scheme is not allowed|BadScheme", "is plain http: use https, or add allow_http=true to the URL", False),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|status code: 40[13]|AccessDenied",
        "refuses access: check the credentials and their rights to read, write, list and delete",
        False,
    ),
    (r"SlowDown|status code: (429|503)", "asks to slow down: it is tried again", True),
    (r"status code: 5\d\d", "has an error of its own: it is tried again", True),
    (r"error sending request|timed? ?out|connection|dns error", "does not answer: check the network and {url}", True),
)


def _explain(objects: ObjectStore, error: Exception) -> ObjectsUnavailable:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    text = str(error)
    where = f"the object store ({describe(objects)})"
    if _NO_BUCKET.search(text):
        return _missing(objects)
    kind = type(objects).__name__.removesuffix("Store")
    variables = {"S3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "GCS": "GOOGLE_SERVICE_ACCOUNT"}
    words = {
        "credentials": "has no credentials to go by: set "
        + variables.get(kind, "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
        "url": SETTING,
    }
    for pattern, told, transient in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return ObjectsUnavailable(f"{where} {told.format(**words)}", transient=transient)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return ObjectsUnavailable(f"{where} refuses access: check the credentials and their rights")
    # The library's own text names paths and addresses; its first line is enough and holds no content.
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    told = code.group(1) if code else text.splitlines()[0][:160] if text else type(error).__name__
    return ObjectsUnavailable(f"{where} answered with an error ({told})")

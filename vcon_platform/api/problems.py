"""Errors as ``application/problem+json`` (RFC 9457), from the platform's own errors.

Belongs here: turning an error into an answer. Not here: what is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from vcon_platform.access.caller import NotAllowed
from vcon_platform.access.tokens import ProviderUnavailable
from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.faults import DefinitionError
from vcon_platform.pipelines.queueing import QueueFull, UnknownQueue, UnknownVcons
from vcon_platform.pipelines.stored import DefinitionConflict, NotStored
from vcon_platform.services.pipeline_edits import DefinedInFile
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.documents import Missing, RevisionConflict
from vcon_platform.store.identity import StoreMismatch
from vcon_platform.store.keys import NameRefused
from vcon_platform.store.objects import ObjectsUnavailable
from vcon_platform.store.paging import CursorRefused, QueryRefused
from vcon_platform.store.removing import RevisionChanged
from vcon_platform.store.search import SearchTooSlow
from vcon_platform.vcon.faults import Rejected

_STATUS: tuple[tuple[type[PlatformError], int, str], ...] = (
    (Missing, 404, "not_found"),
    (RevisionConflict, 409, "revision_conflict"),
    (RevisionChanged, 412, "revision_changed"),
    (NameRefused, 422, "bad_queue"),
    (UnknownQueue, 422, "unknown_queue"),
    (UnknownVcons, 422, "unknown_vcons"),
    (QueueFull, 429, "queue_full"),
    (NotStored, 404, "not_found"),
    (DefinitionConflict, 409, "version_conflict"),
    (DefinedInFile, 409, "defined_in_file"),
    (StoreUnavailable, 503, "redis_unavailable"),
    (ObjectsUnavailable, 503, "object_store_unavailable"),
    (StoreMismatch, 503, "store_mismatch"),
    (CursorRefused, 422, "bad_cursor"),
    (QueryRefused, 422, "bad_query"),
    (SearchTooSlow, 503, "search_too_slow"),
    (NotAllowed, 403, "not_allowed"),
    (ProviderUnavailable, 503, "identity_provider_unavailable"),
)
RETRY_AFTER_SECONDS = 5
_UNWRITABLE = {
    "Integer exceeds 64-bit range": (
        "number_too_long",
        "A number in the request has more than 64 bits; send it as a text.",
    ),
    "str is not valid UTF-8: surrogates not allowed": (
        "not_unicode",
        "A text in the request has half of a surrogate pair (\\ud800 to \\udfff), which is no character.",
    ),
}
"""What orjson says of a value that it cannot write. Only a request's body can have brought one here: what is stored was
read by orjson."""


class Problem(PlatformError):
    """An answer other than success, decided by a route. ``extra``: further members of the answer."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.headers, self.extra = status, code, headers or {}, extra


def add_problems(app: FastAPI, *, compat: str = "") -> None:
    """Let the application answer the platform's errors. Anything else stays a bare 500: its text may hold anything.
    ``compat``: ``py_vcon`` for that server's own statuses."""

    @app.exception_handler(PlatformError)
    async def answer(request: Request, error: PlatformError) -> JSONResponse:
        return problem(error, request.url.path, compat=compat)

    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(_bad_request(error), request.url.path, compat=compat)

    @app.exception_handler(TypeError)
    async def unwritable(request: Request, error: TypeError) -> JSONResponse:
        if str(error) not in _UNWRITABLE:
            raise error
        return problem(Problem(422, *_UNWRITABLE[str(error)]), request.url.path, compat=compat)


def _bad_request(error: RequestValidationError) -> Problem:
    """What does not fit the route, each fault with its place; never the value, which may be personal or a secret."""
    faults = [
        {"code": each["type"], "pointer": "/" + "/".join(map(str, each["loc"])), "message": each["msg"]}
        for each in error.errors()
    ]
    told = "; ".join(f"{fault['pointer']}: {fault['message']}" for fault in faults)
    return Problem(422, "bad_request", told, faults=faults)


def problem(error: PlatformError, path: str = "", *, compat: str = "") -> JSONResponse:
    """The answer that fits an error on this path. A refused document lists its faults, each with a JSON pointer."""
    body: dict[str, Any]
    if isinstance(error, Rejected):
        faults = [{"code": each.code, "pointer": each.pointer, "message": each.message} for each in error.faults]
        status, body = error.status, {"code": error.code, "faults": faults}
    elif isinstance(error, DefinitionError):
        places = [{"pointer": each.pointer, "message": each.message} for each in error.faults]
        status, body = 422, {"code": "definition_refused", "faults": places}
    elif isinstance(error, Problem):
        status, body = error.status, {"code": error.code, **error.extra}
    else:
        status, code = next(
            ((status, code) for kind, status, code in _STATUS if isinstance(error, kind)), (500, "platform_error")
        )
        body = {"code": code}
    if isinstance(error, UnknownVcons):
        body["uuids"] = list(error.uuids)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status in (429, 503) else {}
    if isinstance(error, Problem):
        headers |= error.headers
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer, Basic realm="vcon-platform: any name, the key as password"'
    if path.startswith("/api/"):
        return _as_conserver(status, str(error), headers)
    if path and not path.startswith("/v1/"):
        return _as_py_vcon(status, error, body, headers, compat)
    body = {"title": body["code"].replace("_", " "), "status": status, "detail": str(error), **body}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def _as_conserver(status: int, detail: str, headers: Mapping[str, str]) -> JSONResponse:
    """As the conserver's clients know errors: an object with ``detail``; no key, or a wrong one, is 403."""
    if status == 401:
        status, detail, headers = 403, "Invalid API Key", {}
    return JSONResponse({"detail": detail}, status, dict(headers))


def _as_py_vcon(
    status: int, error: PlatformError, body: Mapping[str, Any], headers: Mapping[str, str], compat: str
) -> JSONResponse:
    """As py_vcon_server's clients know errors: an object with ``detail``, and the class of a domain error."""
    detail: Any = body.get("places") or str(error)
    if body["code"] == "bad_request":  # the framework's own form, without the values
        detail = [
            {"type": each["code"], "loc": each["pointer"][1:].split("/"), "msg": each["message"]}
            for each in body["faults"]
        ]
    told = {"detail": detail}
    if exception_class := body.get("exception_class"):
        told["exception_class"] = exception_class
    if compat == "py_vcon":
        status = int(body.get("peer_status") or status)
    return JSONResponse(told, status, dict(headers))

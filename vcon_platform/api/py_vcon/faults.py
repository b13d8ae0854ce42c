"""Errors as py_vcon_server's clients know them: ``{"detail": text}``, for a domain error with its class's name.

Belongs here: which class and which of the old statuses an error has. Not here: what is an error.
"""

from __future__ import annotations

from typing import Any

from vcon_platform.api.problems import Problem
from vcon_platform.ingress.looking import NotReady
from vcon_platform.pipelines.direct import DirectRefused, DirectRunFailed
from vcon_platform.store.documents import Missing, RevisionConflict

WRONG_STATE = "InvalidVconState"
NO_VCON = "VconNotFound"
NO_QUEUE = "QueueDoesNotExist"
BAD_SIGNATURE = "InvalidSignature"
_STATE_CODES = frozenset({"Sealed", "wrong_state", "not_signed", "not_encrypted", "already_signed"})


def fault(status: int, detail: str, exception_class: str = "", *, peer: int | None = None) -> Problem:
    """An answer. ``peer``: the status that py_vcon_server gives, where it is another."""
    extra: dict[str, Any] = {"exception_class": exception_class} if exception_class else {}
    return Problem(status, "py_vcon", detail, peer_status=peer or status, **extra)


def no_vcon(uuid: str, *, peer: int = 404) -> Problem:
    """The vCon is not here, or hidden from this key."""
    return fault(404, f"vCon UUID: {uuid} not found", NO_VCON, peer=peer)


def of_run(error: Exception, uuid: str = "") -> Problem:
    """What ended a direct run, as an answer."""
    match error:
        case Missing():
            return no_vcon(uuid, peer=500)
        case RevisionConflict():
            return fault(409, str(error), "RevisionConflict", peer=500)
        case NotReady():
            return fault(409, str(error), WRONG_STATE, peer=500)
        case DirectRefused():
            return fault(422, str(error), peer=500)
        case DirectRunFailed():
            return _of_failed(error)
    return fault(500, str(error))


def _of_failed(error: DirectRunFailed) -> Problem:
    code, detail = error.verdict.code, str(error)
    if code == "timeout":
        return fault(504, detail, peer=430)
    if code in ("not_configured", "NotConfigured"):
        return fault(503, detail, peer=500)
    if error.transient:
        return fault(502, detail, peer=500)
    if code in _STATE_CODES:
        return fault(409, detail, WRONG_STATE, peer=500)
    return fault(422, detail, BAD_SIGNATURE if "signature" in code.lower() else "", peer=500)

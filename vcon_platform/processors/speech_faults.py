"""What a refusal of a speech service means, for those that have no conventions of their own: by its HTTP status.

Belongs here: status to TransientError or PermanentError, with the cure. Not here: Deepgram's codes
(``deepgram_calls.py``). Of an answer only the status and a code are told, because its text may repeat what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vcon_platform.processors.base import PermanentError, ProcessorError, TransientError
from vcon_platform.store.retry_after import seconds_in

_CODE = re.compile(r"[A-Za-z0-9_]{1,60}")


def refusal(
    service: str,
    status: int,
    *,
    where: str,
    key_from: str,
    model: str,
    code: object = None,
    headers: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> ProcessorError:
    """The error for an answer that is none. ``where`` names the recording, ``key_from`` the variable that holds the
    key; ``retry_after``: seconds that the answer's body asks to wait."""
    told = f"{status}{f' {code}' if isinstance(code, str) and _CODE.fullmatch(code) else ''}"
    if status == 401:
        return PermanentError(f"{service} refuses the key ({told}); set a valid one in {key_from} and re-execute")
    if status == 402 or (status == 429 and code == "insufficient_quota"):
        return PermanentError(f"{service}: the account's quota is used up ({told}); raise it and re-execute")
    if status in (403, 404):
        return PermanentError(
            f"{service} does not give model {model} to this key ({told}); choose a model that the key may use"
        )
    if status in (408, 409, 425, 429) or status >= 500:
        asked = seconds_in(headers or {})
        return TransientError(
            f"{where}: {service} cannot answer just now ({told})",
            retry_after=asked if asked is not None else retry_after,
        )
    if status == 413:
        return PermanentError(f"{where} is too large for {service} ({told}); lower max_chunk_duration, if it has one")
    return PermanentError(
        f"{where}: {service} refuses it ({told}); check that it is audio, and model, language and engine_options"
    )


def no_transcription(service: str, where: str, address_from: str) -> TransientError:
    """The error for an answer that is JSON and no transcription, or no JSON."""
    return TransientError(
        f"{where}: {service}'s answer is no transcription; check {address_from} if this lasts, or whether a proxy "
        "answered in its place"
    )

"""Who may call the API. One key so far: the file ``secrets/api_key`` of the data folder, made at first start.

Belongs here: checking a request's key. Not here: what a caller may do.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from vcon_platform.api.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="The key in the file secrets/api_key of the data folder.")


def key_required(key: str) -> Callable[..., None]:
    """A dependency that lets a request pass only with ``Authorization: Bearer {key}``."""
    wanted = key.encode()

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), wanted):
            raise Problem(
                401,
                "key_required",
                "Send the header 'Authorization: Bearer KEY'; KEY is in the file secrets/api_key of the data folder.",
            )

    return check

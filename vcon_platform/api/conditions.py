"""Conditions of requests (RFC 9110 section 13): the entity tag of a vCon is its revision.

Belongs here: headers into conditions. Not here: whether one is met, which only the script that writes can say
(``ingress/door.py``, ``store/removing.py``).
"""

from __future__ import annotations

import re

from starlette.requests import Request

from vcon_platform.api.problems import Problem
from vcon_platform.ingress.answer import ALWAYS, Condition

_TAG = re.compile(r'"([1-9][0-9]{0,17})"')
_NEVER = -1
"""A revision that no vCon has: for tags that are none of ours."""


def tag_of(revision: int) -> str:
    """The entity tag of a revision."""
    return f'"{revision}"'


def condition_of(request: Request) -> Condition:
    """Under which a document is to be taken in. Raises Problem: 422 for what is not understood."""
    match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is None and none is None:
        return ALWAYS
    if match is None and none is not None and none.strip() == "*":
        return Condition(new=True)
    if none is not None:
        raise Problem(422, "bad_condition", "If-None-Match: only '*' (a new vCon), and not together with If-Match.")
    return Condition(there=True, revision=_revision(match or ""))


def wanted_revision(request: Request) -> int | None:
    """The revision that a vCon must have to be removed; None: any. Raises Problem: 422."""
    match = request.headers.get("if-match")
    return None if match is None else _revision(match)


def _revision(match: str) -> int | None:
    if match.strip() == "*":
        return None
    if "," in match:
        raise Problem(422, "bad_condition", "If-Match: one revision, as GET gave it in ETag, or '*'.")
    found = _TAG.fullmatch(match.strip())
    return int(found[1]) if found is not None else _NEVER


def is_known(request: Request, tag: str) -> bool:
    """True if the client has what the tag stands for, and wants to hear only that (304)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    return given.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in given.split(",")]

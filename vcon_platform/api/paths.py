"""What stands in paths, read the same way everywhere."""

from __future__ import annotations

from vcon_platform.api.problems import Problem
from vcon_platform.vcon.gates import canonical_uuid


def uuid_in(given: str) -> str:
    """A uuid in its canonical form. Raises Problem: 422."""
    uuid = canonical_uuid(given)
    if uuid is None:
        raise Problem(422, "bad_uuid", "A vCon is named by a uuid, such as 018f3a2b-4c5d-8e6f-9012-3456789abcde.")
    return uuid

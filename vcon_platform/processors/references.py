"""What a processor needs from the environment: references (``vcon_platform/references.py``) that must be set.

Belongs here: the error that says which service lacks which variable. Handed on: what a reference is.
"""

from __future__ import annotations

from vcon_platform.processors.base import PermanentError
from vcon_platform.references import reference as reference
from vcon_platform.references import value_of as value_of
from vcon_platform.references import variable_of


class NotConfigured(PermanentError):
    """What a processor needs is not set in the environment of this installation."""

    code = "not_configured"


def needed(reference: str, service: str, option: str) -> str:
    """What a reference stands for. Raises :class:`NotConfigured` naming service, option and variable."""
    value = value_of(reference)
    if value is None:
        variable = variable_of(reference)
        if variable is None:
            raise NotConfigured(f"{service} is not configured: the option {option} is empty; write env:NAME there")
        raise NotConfigured(
            f"{service} is not configured: the environment variable {variable} (option {option}) is not set; set it "
            "in .env, restart the platform and re-execute"
        )
    return value

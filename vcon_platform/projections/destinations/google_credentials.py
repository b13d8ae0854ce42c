"""Who we are to Google: the credentials of a destination, from a reference.

Belongs here: what the destinations of Google's services share. Not here: what they ask for with the credentials.

A reference stands for a service account's key or an authorised user's (OAuth) file, as JSON or as the path of such a
file; without one, Google's application default credentials are taken (workload identity, ``gcloud auth``). Other kinds
of credential files name programs to run and addresses to ask, so they come in by that last way only, where Google's own
library checks them. No message quotes what the reference stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.references import value_of, variable_of

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

_KINDS = "a service account's key or an authorised user's file"


def google_credentials(reference: str, scopes: Sequence[str], *, where: str, folder: Path) -> Credentials:
    """The credentials that a reference stands for, for these scopes. ``where`` begins the messages; ``folder`` is where
    a relative path starts. Asks nobody yet but for the application default. Raises DestinationError."""
    from google.auth import default
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2.credentials import Credentials as UserCredentials
    from google.oauth2.service_account import Credentials as ServiceCredentials

    if not reference:
        try:
            return default(scopes=list(scopes))[0]
        except DefaultCredentialsError:
            raise DestinationError(
                f"{where}: no credentials: set the option credentials to env:NAME, where the variable NAME holds "
                f"{_KINDS} (JSON, or a path), or set up Google's application default credentials on this machine"
            ) from None
    told = f"{where}: the variable {variable_of(reference)}"
    info = _info(reference, told, folder)
    kind = info.get("type")
    try:
        if kind == "service_account":
            return cast(
                "Credentials",
                ServiceCredentials.from_service_account_info(info, scopes=list(scopes)),  # type: ignore[no-untyped-call]
            )
        if kind == "authorized_user":
            return cast("Credentials", UserCredentials.from_authorized_user_info(info, list(scopes)))  # type: ignore[no-untyped-call]
    except Exception as error:  # the library lets out whatever a wrong key raises; its text may quote the key
        raise DestinationError(f"{told} holds a key that cannot be used ({type(error).__name__}): {_KINDS}") from None
    raise DestinationError(f"{told} must hold {_KINDS}: /type is neither service_account nor authorized_user")


def _info(reference: str, told: str, folder: Path) -> dict[str, Any]:
    value = value_of(reference)
    if value is None:
        raise DestinationError(f"{told} is not set: let it hold {_KINDS} (JSON, or the path of a file)")
    if not value.startswith("{"):
        try:
            value = (folder / value).read_text()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            why = type(error).__name__
            raise DestinationError(f"{told} names a file that cannot be read ({why}): {_KINDS} is needed") from None
    try:
        info = orjson.loads(value)
    except orjson.JSONDecodeError:
        info = None
    if not isinstance(info, dict):
        raise DestinationError(f"{told} is neither JSON nor the path of a JSON file: {_KINDS} is needed")
    return info


def refused_login(error: Exception, where: str) -> DestinationError:
    """What a fault of google-auth means: the key was refused, or Google's login cannot be reached."""
    from google.auth.exceptions import TransportError

    if isinstance(error, TransportError) or getattr(error, "retryable", False):
        return DestinationUnavailable(f"{where}: Google's login does not answer; the rows follow at the next try")
    return DestinationError(
        f"{where}: Google refuses the credentials ({type(error).__name__}): the key was taken back or is another "
        "account's; make a new one and put it where the option credentials says"
    )

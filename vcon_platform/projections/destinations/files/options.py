"""Where a folder of rows is: the options that all kinds of files share.

Belongs here: what may be written there. Not here: what a kind of file adds, and opening the folder (``folder.py``).
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.references import reference
from vcon_platform.store.objects import CLOUDS

_SECRET = re.compile(r"key|secret|token|password")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_may_name = reference("AWS_", "GOOGLE_", "AZURE_")


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme and parts.scheme not in (*CLOUDS, "file"):
        raise ValueError(f"must be a folder, file:///folder or {', '.join(f'{each}://...' for each in CLOUDS)}")
    if parts.username or parts.password:
        raise ValueError("must hold no credentials: they come from the environment, or by access_key_id=env:NAME")
    for name, given in parse_qsl(parts.query):
        if given.startswith("env:"):
            _may_name(given)
        elif _SECRET.search(name.lower()):
            raise ValueError(f"holds {name}, where everybody sees it: write {name}=env:NAME and set NAME")
    return value


def _folder(value: str) -> str:
    if value and not _FOLDER.fullmatch(value):
        raise ValueError("must be a path of letters, digits, _, - and . without a / at its ends")
    return value


class FolderOptions(BaseModel):
    """Options of a projection's folder of files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_url)] = Field(
        default="",
        title="Place",
        description="A folder (a relative one is in the data folder), s3://bucket/prefix, gs://bucket/prefix or "
        "az://container/prefix, with the store's options as query parameters; credentials from the environment or by "
        "reference (access_key_id=env:AWS_LAKE_KEY). Unset: the platform's own object store.",
    )
    folder: Annotated[str, AfterValidator(_folder)] = Field(
        default="",
        max_length=200,
        title="Folder",
        description="The folder within the place. Unset: the projection's name; in the platform's own object store "
        "projections/KIND/NAME.",
    )

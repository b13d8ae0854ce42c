"""Personal data that a table must not show: hashed with a key, shown in part, or left out.

Belongs here: what becomes of one value, and the key. Not here: which columns are masked (``model.py``), when
(``building.py``: before a row is carried anywhere, so that no attachment and no destination holds the plain value).

The hash is keyed, because there are few telephone numbers: whoever has a plain hash of one finds the number by trying
all of them. The key stays in the installation. One key gives one person one hash in every table that uses it, which is
what makes masked tables joinable; a projection that must not be joinable names a key of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson

from vcon_platform.projections.errors import RowError
from vcon_platform.references import value_of, variable_of
from vcon_platform.settings import load_settings

Mask = Literal["hash", "partial", "drop"]

KEY_FILE = "pii_key"
_WORD = re.compile(r"\w+")
_SHOWN_DIGITS = 3


def masked(value: Any, mask: Mask, key: bytes) -> str | None:
    """What is shown in place of a value; nothing for nothing. ``hash``: 64 hexadecimal digits; ``partial``: the last
    three digits of a number, the first letter and the domain of an address, the initials of a name."""
    if value is None or mask == "drop":
        return None
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if mask == "hash":
        return hmac.new(key, text.encode(errors="replace"), hashlib.sha256).hexdigest()
    return _partial(text)


def _partial(text: str) -> str:
    name, at, domain = text.rpartition("@")
    if at and name:
        return f"{name[0]}***@{domain}"
    digits = sum(letter.isdigit() for letter in text)
    if digits * 2 > len(text):
        kept = digits - _SHOWN_DIGITS if digits > 2 * _SHOWN_DIGITS else digits
        return _hidden_digits(text, kept)
    return _WORD.sub(lambda word: f"{word[0][0]}***", text)


def _hidden_digits(text: str, hidden: int) -> str:
    shown = []
    for letter in text:
        if letter.isdigit() and hidden > 0:
            hidden -= 1
            shown.append("*")
        else:
            shown.append(letter)
    return "".join(shown)


def key_of(reference: str) -> bytes:
    """The key that a projection's ``pii_key`` names; the installation's own where it names none. Raises
    :class:`RowError` where there is none."""
    if reference:
        found = value_of(reference)
        if found is None:
            raise RowError(f"the variable {variable_of(reference)} is not set: it is the key for masked columns")
        return found.encode()
    return _installations_key(_key_file(os.environ.get("VCON_ROOT"), os.environ.get("VCON_DATA_DIR")))


@lru_cache(maxsize=8)
def _key_file(*_: str | None) -> Path:
    """Where the key is, by what may say so: reading the settings takes longer than building rows."""
    return load_settings().secret_path(KEY_FILE)


@lru_cache(maxsize=8)
def _installations_key(path: Path) -> bytes:
    """The key in this file, made at first use. A second one would make strangers of everybody who is known, so it is
    made only where there is none, and read back from where all processes read it."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            with suppress(FileExistsError):  # another process was first; nobody ever reads half a key
                path.hardlink_to(made)
            made.unlink()
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RowError(f"{path}, the key for masked columns, cannot be read or made ({type(error).__name__})") from None
    if not key:
        raise RowError(f"{path}, the key for masked columns, is empty; put the key back that was there")
    return key.encode()

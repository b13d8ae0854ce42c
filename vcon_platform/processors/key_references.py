"""Keys and certificates of processors: where an option may take them from, and reading them.

Belongs here: references to PEM texts. Not here: references to passwords and addresses (``references.py``), what a key
is for (``vcon/signing.py``, ``vcon/encryption.py``).

A private key never stands in a definition: whoever may read a definition could sign in its owner's name, and it is
stored, shown and compared. It is named, by an environment variable or by a file in one folder that the operator chose
(``VCON_KEYS_DIR``); a definition cannot name any other file. A certificate is public and may stand in an option itself.

Files and variables are read each time they are used, so a key that was changed counts at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from vcon_platform.processors.references import NotConfigured, needed, reference
from vcon_platform.settings import env_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
    from cryptography.x509 import Certificate

    from vcon_platform.vcon.trust import Trust

_FILE = re.compile(r"file:([A-Za-z0-9][A-Za-z0-9._-]{0,99})")
_PEM = re.compile(r"\s*-----BEGIN ([A-Z0-9 ]+)-----")
_PUBLIC = frozenset({"CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_ENV = reference("VCON_KEY_")
_LARGEST = 1 << 20


class KeySettings(BaseSettings):
    """Where keys are. No option of a processor, because a definition must not name files."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    keys_dir: Path | None = Field(
        default=None,
        alias="VCON_KEYS_DIR",
        title="Keys and certificates",
        description="Folder of the PEM files that definitions name as file:NAME. Unset: none can be named.",
    )


def key_reference(value: str | None) -> str:
    """A validator: "" or ``env:VCON_KEY_...`` or ``file:NAME``, for a private key."""
    if not value:
        return ""
    if _FILE.fullmatch(value):
        return value
    if value.startswith("env:"):
        return _ENV(value)
    raise ValueError(  # it may be the key itself: it is not repeated
        "a private key may not stand here, where definitions are stored and shown: put it as a PEM file into the "
        "folder of VCON_KEYS_DIR and write file:NAME, or into an environment variable and write env:VCON_KEY_NAME"
    )


def public_reference(value: str) -> str:
    """A validator: what :func:`key_reference` takes, or the PEM text of certificates or a public key itself."""
    found = _PEM.match(value)
    if found is None:
        return key_reference(value)
    kinds = set(re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----", value))
    if not kinds <= _PUBLIC:
        raise ValueError("there is a private key among the certificates; it may not stand here, name it by file:NAME")
    return value


def pem_of(value: str, service: str, option: str) -> bytes:
    """The PEM text that a reference stands for, or that stands there. Raises :class:`NotConfigured`."""
    if _PEM.match(value):
        return value.encode()
    found = _FILE.fullmatch(value)
    if found is None:
        if not value:
            raise NotConfigured(
                f"{service} needs a key: the option {option} is empty; write file:NAME (a PEM file in the folder of "
                "VCON_KEYS_DIR) or env:VCON_KEY_NAME there"
            )
        return needed(value, service, option).replace("\\n", "\n").encode()  # as variables often hold line breaks
    folder = KeySettings(_env_file=env_file()).keys_dir
    if folder is None:
        raise NotConfigured(
            f"{service} names {value} (option {option}), and no folder of keys is set; set VCON_KEYS_DIR in .env and "
            "restart the platform"
        )
    path = (folder / found[1]).resolve()
    try:
        if not path.is_relative_to(folder.resolve()) or path.stat().st_size > _LARGEST:
            raise NotConfigured(
                f"{service}: {value} (option {option}) is no key file within the folder of VCON_KEYS_DIR"
            )
        return path.read_bytes()
    except OSError as error:
        raise NotConfigured(
            f"{service}: {value} (option {option}) cannot be read in the folder of VCON_KEYS_DIR "
            f"({type(error).__name__}); put the file there and let the platform's user read it"
        ) from None


def private_key(value: str, password: str, service: str, option: str) -> PrivateKeyTypes:
    """The private key that an option names; ``password`` is a reference too. Raises NotConfigured, SigningError."""
    secret = needed(password, service, f"{option}_password").encode() if password else None
    return _private_key(pem_of(value, service, option), secret)


@lru_cache(maxsize=16)
def _private_key(pem: bytes, password: bytes | None) -> PrivateKeyTypes:
    """Known by its text: checking an RSA key takes 50 ms, signing with it one."""
    from vcon_platform.vcon.signing import load_key

    return load_key(pem, password)


def certificates(values: Sequence[str], service: str, option: str) -> list[Certificate]:
    """The certificates that an option names, in its order. Raises NotConfigured, TrustError."""
    from vcon_platform.vcon.trust import load_chain

    return [each for value in values for each in load_chain(pem_of(value, service, option))]


def trust_in(values: Sequence[str], service: str, option: str) -> Trust:
    """Trust in the certificates that an option names. Raises NotConfigured, TrustError."""
    return _trust(tuple(pem_of(value, service, option) for value in values))


@lru_cache(maxsize=64)
def _trust(pems: tuple[bytes, ...]) -> Trust:
    """One for the same certificates: what was found out about a chain is remembered with it."""
    from vcon_platform.vcon.trust import Trust, load_chain

    return Trust(tuple(dict.fromkeys(each for pem in pems for each in load_chain(pem))))


def recipient_keys(values: Sequence[str], service: str, option: str) -> list[PublicKeyTypes]:
    """The public keys that an option names, by certificate or bare. Raises NotConfigured, TrustError."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from vcon_platform.vcon.trust import TrustError, load_chain

    found: list[PublicKeyTypes] = []
    for value in values:
        pem = pem_of(value, service, option)
        if b"CERTIFICATE" in pem:
            found.append(load_chain(pem)[0].public_key())
            continue
        try:
            found.append(load_pem_public_key(pem))
        except ValueError as error:
            raise TrustError(
                f"option {option}: this is neither a certificate nor a public key in PEM ({type(error).__name__})"
            ) from None
    return found

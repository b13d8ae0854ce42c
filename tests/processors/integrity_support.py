"""Keys, certificates and conversations for the processors that sign, verify, encrypt and decrypt."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.processors.support import document, io_of
from tests.vcon.certificates import NOW, YEAR, Held, made, rsa_key
from vcon_platform.pipelines.originals import StoredOriginals
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.settings import Settings
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.vcon.document import Vcon

PASSWORD = "a password for tests"
LONG = NOW + 50 * YEAR
"""Processors judge by the clock."""


@cache
def authority() -> Held:
    """Whose certificate is trusted."""
    return made("root", ca=True, end=LONG)


@cache
def signer() -> Held:
    """Who signs."""
    return made("signer", authority(), key=rsa_key(), end=LONG)


@cache
def reader() -> Held:
    """For whom is encrypted."""
    return made("reader", authority(), key=rsa_key(number=1), end=LONG)


def pem(held: Held) -> str:
    """A certificate."""
    return held.certificate.public_bytes(Encoding.PEM).decode()


def key_pem(held: Held, password: str = "") -> bytes:
    """A private key."""
    lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return bytes(held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))


@cache
def folders() -> Path:
    """``keys`` (what definitions may name), ``trust`` (roots), ``ours`` (decryption keys), ``objects``."""
    folder = Path(tempfile.mkdtemp(prefix="vcon-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("keys", "trust", "ours", "objects", "spool"):
        (folder / name).mkdir()
    files: dict[str, bytes] = {
        "keys/signer.pem": key_pem(signer()),
        "keys/locked.pem": key_pem(signer(), PASSWORD),
        "keys/chain.pem": (pem(signer()) + pem(authority())).encode(),
        "keys/reader.pem": key_pem(reader()),
        "keys/reader.crt": pem(reader()).encode(),
        "keys/reader.pub": reader().key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "trust/root.pem": pem(authority()).encode(),
        "ours/reader.pem": key_pem(reader()),
        "outside.pem": key_pem(signer()),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "keys" / "escape.pem").symlink_to(folder / "outside.pem")
    return folder


def settings(*, trusts: bool = True, reads: bool = False, data: Path | None = None) -> Settings:
    """An installation that trusts the root, and reads what is encrypted for the reader or does not."""
    return Settings(
        _env_file=None,
        trust_dir=folders() / "trust" if trusts else None,
        decryption_keys_dir=folders() / "ours" if reads else None,
        data_dir_setting=data or folders(),
    )


class NoDocuments:
    """A store that has none."""

    def refers(self, uuid: str, token: str) -> bool:
        return False


def lent(**chosen: Any) -> StoredOriginals:
    """Originals of documents that no store has."""
    return StoredOriginals(
        settings(**chosen), cast("DocumentStore", NoDocuments()), MediaStore(local_objects(folders() / "objects"), 1024)
    )


def with_originals(io: ProcessorIO, **chosen: Any) -> ProcessorIO:
    """The same conversation where originals are lent."""
    io.context = replace(io.context, originals=lent(**chosen))
    return io


def call(**chosen: Any) -> ProcessorIO:
    """An unsigned conversation."""
    data = document(
        parties=[{"name": "Alice"}, {"name": "Bob"}],
        dialog=[
            {
                "type": "text",
                "start": "2026-09-01T12:00:00Z",
                "parties": [0, 1],
                "mediatype": "text/plain",
                "encoding": "none",
                "body": "the heater is broken",
            }
        ],
        analysis=[],
        attachments=[],
    )
    return with_originals(io_of(data), **chosen)


def value_of(vcon: Vcon) -> dict[str, Any]:
    """The form that it was given here."""
    assert vcon.envelope is not None
    return dict(orjson.loads(vcon.envelope.raw))

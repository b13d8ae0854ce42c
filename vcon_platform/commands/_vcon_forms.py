"""``vcon-platform vcon sign``, ``encrypt``, ``decrypt`` and ``migrate``: one vCon in another form or version.

Belongs here: files, keys and options into calls. Not here: signatures (``vcon/signing.py``), encryption
(``vcon/encryption.py``), versions (``vcon/export.py``). A stored vCon is piped in: ``vcon get UUID | vcon sign - …``.

Keys are files; a passphrase comes from the environment. Nothing here is stored.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from vcon_platform.commands._shown import visible
from vcon_platform.commands._vcon_given import (
    GivenFile,
    Output,
    Password,
    content_of,
    file_bytes,
    gated,
    give_up,
    need_no_passphrase,
    passphrase,
    refusing,
    settings,
    write_text,
)
from vcon_platform.commands._vcon_known import KeyFiles, TrustOption, keys_of, trust_of
from vcon_platform.commands._vcon_out import Version

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
    from cryptography.x509 import Certificate


class SignatureAlgorithm(StrEnum):
    """Those that are in use."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


class KeyEncryption(StrEnum):
    """How the content's key is encrypted."""

    OAEP = "RSA-OAEP"
    OAEP_256 = "RSA-OAEP-256"


class ContentEncryption(StrEnum):
    """How the content is encrypted."""

    CBC = "A256CBC-HS512"
    GCM = "A256GCM"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("sign")(sign)
    app.command("encrypt")(encrypt)
    app.command("decrypt")(decrypt)
    app.command("migrate")(migrate)


def sign(
    given: GivenFile,
    key: Annotated[Path, typer.Option("--key", help="The signer's private key, PEM.")],
    chain: Annotated[
        list[Path],
        typer.Option("--chain", help="Certificates, PEM: the signer's own first, each issued by the next."),
    ],
    password: Password = None,
    alg: Annotated[
        SignatureAlgorithm | None, typer.Option("--alg", help="Default: what the key signs with; RSA: RS256.")
    ] = None,
    repeat_alg: Annotated[
        bool, typer.Option("--repeat-alg", help="Repeat alg in the open header, for readers of py-vcon 0.6.0.")
    ] = False,
    trust: TrustOption = None,
    output: Output = None,
) -> None:
    """Sign a vCon: its exact bytes become the payload of a JWS.

    A signed one whose signature is valid now is signed again around it, as archives do before a certificate expires.
    """
    from datetime import UTC, datetime

    from vcon_platform.vcon import signing
    from vcon_platform.vcon.forms import Form
    from vcon_platform.vcon.trust import load_chain

    own = settings()
    raw, uuid, form = _checked(given)
    private = _private_key(key, password)
    certificates = [each for path in chain for each in load_chain(path)]
    if form is Form.ENCRYPTED:
        give_up("An encrypted vCon is not signed: decrypt it first ('vcon decrypt'), sign that, and encrypt again.", 1)
    if form is Form.SIGNED:
        trusted = trust_of(trust, own)
        if trusted is None:
            give_up(
                "It is signed already. To sign it again its signature must be found valid: name the trusted "
                "certificates with --trust, or set VCON_TRUST_DIR.",
                1,
            )
        now = datetime.now(UTC)
        signed = signing.resign(
            raw, uuid, private, certificates, trust=trusted, now=now, alg=alg, repeat_alg=repeat_alg
        )
    else:
        signed = signing.sign(raw, uuid, private, certificates, alg=alg, repeat_alg=repeat_alg)
    write_text(iter((orjson.dumps(signed),)), output)


def encrypt(
    given: GivenFile,
    to: Annotated[
        list[Path],
        typer.Option("--to", help="Certificate or public key (RSA, PEM) of one who is to read it; may be repeated."),
    ],
    alg: Annotated[KeyEncryption, typer.Option("--alg", help="How the content's key is encrypted.")] = (
        KeyEncryption.OAEP
    ),
    enc: Annotated[ContentEncryption, typer.Option("--enc", help="How the content is encrypted.")] = (
        ContentEncryption.CBC
    ),
    output: Output = None,
) -> None:
    """Encrypt a signed vCon for one or several readers (JWE). The uuid stays readable outside."""
    from vcon_platform.vcon import encryption
    from vcon_platform.vcon.forms import Form

    raw, uuid, form = _checked(given)
    if form is Form.ENCRYPTED:
        give_up("It is encrypted already: decrypt it first, then encrypt it for all who are to read it.", 1)
    readers = [_public_key(path) for path in to]
    written = encryption.encrypt(raw, uuid, readers, alg=alg, enc=enc)
    write_text(iter((orjson.dumps(written),)), output)


def decrypt(given: GivenFile, key: KeyFiles = None, password: Password = None, output: Output = None) -> None:
    """Open an encrypted vCon: the signed one inside, byte for byte. What it is worth says 'verify'."""
    from vcon_platform.ingress.judging import opened_with
    from vcon_platform.ingress.looking import opened_whole
    from vcon_platform.vcon.forms import Form, form_of

    own = settings()
    content = content_of(given)
    keys = keys_of(key, password, own)
    with refusing(given), opened_whole(content, own) as opened:
        if form_of(opened.value) is not Form.ENCRYPTED:
            give_up("It is not encrypted.", 1)
        plain = opened_with(opened.value, keys)
    write_text(iter((plain,)), output)


def migrate(
    given: GivenFile,
    to: Annotated[Version, typer.Option("--to", help="The version to write.")] = Version.V040,
    json_strings: Annotated[
        bool, typer.Option("--json-strings", help="Bodies of encoding json as text, as older readers want them.")
    ] = False,
    key: KeyFiles = None,
    password: Password = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not tell on stderr what was found on the way.")] = False,
    output: Output = None,
) -> None:
    """Write a vCon of any version in another; what was found on the way is told on stderr.

    Of a signed or encrypted one, the vCon inside is written, unsigned.
    """
    from vcon_platform.vcon.document import Vcon
    from vcon_platform.vcon.export import export

    own = settings()
    content = content_of(given)
    with refusing(given), gated(content, keys=keys_of(key, password, own)) as received:
        if received.opaque:
            give_up(f"vCon {received.uuid} is encrypted and no key here opens it; name one with --key.", 1)
        for each in () if quiet else received.findings:
            typer.echo(visible(f"{each.pointer or '/'}  {each.code}: {each.message}"), err=True)
        data = export(received.data, to.value, json_strings=json_strings)
        write_text(iter((Vcon(data).to_bytes(),)), output)


# --- what was given --------------------------------------------------------------------------------------------------


def _checked(given: str) -> tuple[bytes, str, Any]:
    """The document's exact bytes out of gzip, its uuid and form. One that the gates refuse ends it with 1."""
    from vcon_platform.ingress.looking import opened_whole

    content = content_of(given)
    with refusing(given), gated(content) as received, opened_whole(content, settings()) as opened:
        return opened.skeleton, received.uuid, received.form


def _private_key(path: Path, password: str | None) -> PrivateKeyTypes:
    from vcon_platform.vcon.signing import load_key

    pem = file_bytes(path)
    if password is None:
        need_no_passphrase(path, pem)
    return load_key(pem, passphrase(password))


def _public_key(path: Path) -> Certificate | PublicKeyTypes:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from vcon_platform.vcon.trust import TrustError, load_chain

    pem = file_bytes(path)
    if b"CERTIFICATE" in pem:
        return load_chain(path)[0]
    try:
        return load_pem_public_key(pem)
    except ValueError:
        raise TrustError(f"{path.name} is neither a certificate nor a public key in PEM") from None

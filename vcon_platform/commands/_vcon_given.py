"""What the verbs of ``vcon-platform vcon`` are given, and where their answers go: files, pipes, stored vCons.

Belongs here: FILE, ``-`` and UUID, writing to stdout or a file, exit codes. Not here: verbs.

A verb on a file needs no running platform: settings are read, but nothing is connected unless the document names a body
of this installation's media store.
"""

from __future__ import annotations

import sys
from codecs import iterdecode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vcon_platform.commands._shown import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from vcon_platform.settings import Settings
    from vcon_platform.store.opening import Store
    from vcon_platform.vcon.document import Vcon
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.faults import Rejected
    from vcon_platform.vcon.received import Received
    from vcon_platform.vcon.trust import Trust

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Uuid = Annotated[str, typer.Argument(help="The vCon's uuid; also as vcon:UUID or urn:uuid:UUID.")]
Given = Annotated[
    str, typer.Argument(metavar="FILE|UUID", help="A vCon file, - for stdin, or the uuid of a stored vCon.")
]
GivenFile = Annotated[str, typer.Argument(metavar="FILE", help="A vCon file; - for stdin.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write to this file instead of stdout.")
]
Password = Annotated[
    str | None,
    typer.Option("--password", metavar="env:NAME", help="The environment variable with the key's passphrase."),
]


# --- the installation ------------------------------------------------------------------------------------------------


def settings() -> Settings:
    """This installation's."""
    from vcon_platform.settings import load_settings

    return load_settings()


def store() -> Store:
    """This installation's store. Connects when it is first used."""
    from vcon_platform.store.opening import open_store

    return open_store(settings())


def may_refer(uuid: str, token: str) -> bool:
    """Whether a file may name a body of the media store: as the stored vCon of its uuid does."""
    return store().documents.refers(uuid, token)


# --- what was given --------------------------------------------------------------------------------------------------


def stored_uuid(given: str) -> str | None:
    """The uuid that was given; None: it is a file, or stdin."""
    from vcon_platform.vcon.gates import canonical_uuid

    return canonical_uuid(given.strip().removeprefix("vcon:"))


def uuid_of(given: str) -> str:
    """The uuid, or the end with 2."""
    uuid = stored_uuid(given)
    if uuid is None:
        give_up("That is no uuid. One looks like 018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f.")
    return uuid


def content_of(given: str) -> bytes:
    """The bytes of a file or of stdin."""
    if given == "-":
        return sys.stdin.buffer.read()
    path = Path(given)
    if not path.exists():
        give_up(f"{visible(given)} is neither a uuid nor a file.")
    return file_bytes(path)


def file_bytes(path: Path) -> bytes:
    """The bytes of a file that must be there."""
    try:
        return path.read_bytes()
    except OSError as error:
        give_up(f"{visible(str(path))} cannot be read: {error.strerror or type(error).__name__}.")


def document_of(given: str) -> Vcon:
    """The vCon, with what was added to a stored one. One that must not be processed, or cannot be read, ends it with
    1."""
    uuid = stored_uuid(given)
    return document_in(given, content_of(given)) if uuid is None else store().documents.read_one(uuid)


def document_in(given: str, content: bytes) -> Vcon:
    """The vCon that these bytes are."""
    from vcon_platform.ingress.looking import look
    from vcon_platform.ingress.opening import zone_of

    own = settings()
    with refusing(given):
        return look(content, own, zone=zone_of(own), may_refer=may_refer)


def gated(
    content: bytes, *, trust: Trust | None = None, keys: DecryptionKeys | None = None
) -> AbstractContextManager[Received]:
    """What the gates say of these bytes. Raises Rejected."""
    from vcon_platform.ingress.looking import looked_at
    from vcon_platform.ingress.opening import zone_of

    own = settings()
    return looked_at(content, own, zone=zone_of(own), may_refer=may_refer, trust=trust, keys=keys)


def moment(text: str | None, option: str = "") -> Any:
    """A day or a moment; UTC where it names no zone."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        where = f"{option}: " if option else ""
        give_up(f"{where}{text!r} is no date and time; write 2026-11-01 or 2026-11-01T09:00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def passphrase(reference: str | None) -> bytes | None:
    """What ``env:NAME`` stands for. Never the passphrase itself: others on this machine see command lines."""
    from vcon_platform.processors.references import value_of

    if reference is None:
        return None
    value = value_of(reference)
    if value is None:
        give_up(
            "--password takes env:NAME, and the passphrase in that environment variable: a command line is seen by "
            "others, and kept in the shell's history."
        )
    return value.encode()


def need_no_passphrase(path: Path, pem: bytes) -> None:
    """End with 2 where a key has a passphrase, and none was given."""
    if b"ENCRYPTED" in pem:
        give_up(f"{visible(path.name)} has a passphrase: put it into an environment variable, --password env:NAME.")


# --- answers ---------------------------------------------------------------------------------------------------------


def give_up(message: str, code: int = 2) -> NoReturn:
    """End with a sentence on stderr. 2: what was typed is wrong; 1: it was refused or failed."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


@contextmanager
def refusing(given: str) -> Iterator[None]:
    """Tell why a document is refused, each fault on a line, and end with 1."""
    from vcon_platform.vcon.faults import Rejected

    try:
        yield
    except Rejected as rejected:
        tell_refused(given, rejected)
        raise typer.Exit(1) from None


def tell_refused(given: str, rejected: Rejected) -> None:
    """Why a document is refused, on stderr."""
    typer.echo(f"{'stdin' if given == '-' else visible(given)}: refused", err=True)
    for each in rejected.faults:
        typer.echo("  " + visible(f"{each.pointer or '/'}  {each.code}: {each.message}"), err=True)


def write_text(pieces: Iterable[bytes], output: Path | None) -> None:
    """Write JSON and end it with a new line. What strangers wrote cannot steer a terminal."""
    if output is not None:
        write_file((piece for part in (pieces, (b"\n",)) for piece in part), output)
    elif sys.stdout.isatty():
        for text in iterdecode(iter(pieces), "utf-8"):
            typer.echo(visible(text), nl=False)
        typer.echo()
    else:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()


def write_bytes(pieces: Iterable[bytes], output: Path | None) -> None:
    """Write bytes as they are; not onto a terminal."""
    if output is not None:
        write_file(pieces, output)
    elif sys.stdout.isatty():
        give_up("These bytes are not for a terminal: name a file with --output, or pipe them on.")
    else:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()


def write_file(pieces: Iterable[bytes], output: Path) -> None:
    """Write a file; one that is there already is replaced when the new one is whole."""
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(pieces)
        part.replace(output)
    except OSError as error:
        give_up(f"{visible(str(output))} cannot be written: {error.strerror or type(error).__name__}.", 1)
    finally:
        part.unlink(missing_ok=True)

"""``vcon-platform vcon report``, ``verify``, ``turns`` and ``extract``: what is known of one vCon, stored or a file.

Belongs here: printing. What it says is found out in ``vcon/`` and ``ingress/``.
"""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vcon_platform.commands._shown import shown, visible
from vcon_platform.commands._vcon_given import (
    AsJson,
    Given,
    Output,
    Password,
    content_of,
    document_of,
    file_bytes,
    gated,
    give_up,
    need_no_passphrase,
    passphrase,
    refusing,
    settings,
    store,
    stored_uuid,
    write_bytes,
)

if TYPE_CHECKING:
    from vcon_platform.ingress.judging import Judgement
    from vcon_platform.settings import Settings
    from vcon_platform.store.media import MediaStore
    from vcon_platform.vcon.conformance import Report
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

TrustOption = Annotated[
    list[Path] | None,
    typer.Option("--trust", exists=True, help="Trusted certificates: a PEM file or a folder. Default: VCON_TRUST_DIR."),
]
KeyFiles = Annotated[
    list[Path] | None,
    typer.Option("--key", exists=True, help="Private key (PEM) that opens it. Default: VCON_DECRYPTION_KEYS_DIR."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("report")(report)
    app.command("verify")(verify)
    app.command("turns")(turns_of)
    app.command("extract")(extract)


# --- report ----------------------------------------------------------------------------------------------------------


def report(
    given: Given,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if it does not conform.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the conformance report: where a vCon departs from the current draft.

    Of a stored one, what was posted last is judged.
    """
    uuid, told = _report(given)
    if as_json:
        typer.echo(json_text.dumps(told.to_json()))
    else:
        _print_report(uuid, told)
    if check and not told.conformant:
        raise typer.Exit(1)


def _report(given: str) -> tuple[str, Report]:
    from vcon_platform.ingress import reports
    from vcon_platform.ingress.looking import opened_whole
    from vcon_platform.vcon import conformance
    from vcon_platform.vcon.forms import Form, form_of

    uuid = stored_uuid(given)
    if uuid is not None:
        return uuid, reports.report_of(store(), uuid)
    content = content_of(given)
    with refusing(given), gated(content) as received:
        with opened_whole(content, settings()) as again:
            original = again.value if form_of(again.value) is Form.UNSIGNED else None
        return received.uuid, conformance.report_of(received, original=original)


def _print_report(uuid: str, told: Report) -> None:
    verdict = "conforms to" if told.conformant else "does not conform to"
    typer.echo(f"vCon {uuid} {verdict} {told.schema}; signature: {told.signature}")
    sections = {
        "Schema": [(f"({each.of}) {each.pointer}", each.message) for each in told.schema_errors],
        "Missing": [(each.pointer, f"{each.level} have {each.member}") for each in told.missing],
        "Outside content": [
            (each.pointer, f"{each.scheme}://{each.host}" + (f": {each.blocked}" if each.blocked else ""))
            for each in told.external
        ],
        "Found while it was taken in": [(each.pointer, f"{each.code}: {each.message}") for each in told.warnings],
    }
    for title, lines in sections.items():
        if lines:
            typer.echo(f"\n{title}")
            for pointer, message in lines:
                typer.echo(f"  {visible(pointer or '/')}  {visible(message)}")


# --- verify ----------------------------------------------------------------------------------------------------------


def verify(
    given: Given, trust: TrustOption = None, key: KeyFiles = None, password: Password = None, as_json: AsJson = False
) -> None:
    """Say what a vCon's signature is worth, whose it is, and why. Exits with 0 only if it is valid now."""
    from datetime import UTC, datetime

    from vcon_platform.ingress.judging import judge

    own = settings()
    content = _exact_bytes(given)
    with refusing(given):
        judged = judge(
            content, own, trust=trust_of(trust, own), keys=keys_of(key, password, own), now=datetime.now(UTC)
        )
    if as_json:
        typer.echo(json_text.dumps(judged.to_json(), ensure_ascii=False))
    else:
        _print_judgement(judged)
    if judged.state != "valid":
        raise typer.Exit(1)


def _print_judgement(judged: Judgement) -> None:
    typer.echo(f"vCon {judged.uuid or '(no uuid)'}, {judged.form}")
    typer.echo(f"signature   {judged.state}: {judged.why}")
    for name in judged.names:
        vouched = "signer" if judged.state in ("valid", "expired") else "claims"
        typer.echo(f"{vouched:<12}{visible(name)}")
    if judged.signer:
        typer.echo(f"key         sha256 {judged.signer}")
    if judged.good_from and judged.good_until:
        typer.echo(f"chain       good from {judged.good_from:%Y-%m-%d} to {judged.good_until:%Y-%m-%d}")
    if judged.layers > 1:
        typer.echo(f"layers      {judged.layers} signatures around each other")
    typer.echo(f"judged at   {judged.at:%Y-%m-%d %H:%M:%S} UTC")


def _exact_bytes(given: str) -> bytes:
    """A file's bytes, or those of a stored vCon as it was posted last."""
    from vcon_platform.store.originals import find_original, original_bytes

    uuid = stored_uuid(given)
    if uuid is None:
        return content_of(given)
    opened = store()
    return b"".join(original_bytes(find_original(opened.documents, uuid), opened.media))


def trust_of(given: list[Path] | None, own: Settings) -> Trust | None:
    """The certificates that were named, else this installation's."""
    from vcon_platform.vcon.trust import Trust, load_trust

    if given:
        loaded = [load_trust(path) for path in given]
        return Trust(tuple(dict.fromkeys(root for each in loaded for root in each.roots)))
    return load_trust(own.trust_dir) if own.trust_dir else None


def keys_of(given: list[Path] | None, password: str | None, own: Settings) -> DecryptionKeys | None:
    """The private keys that were named, else this installation's."""
    from vcon_platform.vcon.encryption import load_keys

    secret = passphrase(password)
    if given:
        for path in () if secret else given:
            need_no_passphrase(path, file_bytes(path))
        return load_keys(given, secret)
    return load_keys(own.decryption_keys_dir) if own.decryption_keys_dir else None


# --- turns and bodies ------------------------------------------------------------------------------------------------


def turns_of(given: Given, as_json: AsJson = False) -> None:
    """Print who said what, and when (in seconds from the start of its dialog)."""
    from dataclasses import asdict

    from vcon_platform.vcon.turns import turns

    vcon = document_of(given)
    found = turns(vcon)
    if as_json:
        typer.echo(json_text.dumps([asdict(turn) for turn in found]))
        return
    table = Table(box=None, header_style="bold")
    for header in ("dialog", "start", "who", "text"):
        table.add_column(header, overflow="fold")
    for turn in found:
        who = "" if turn.party is None else f"party {turn.party}"
        start = "" if turn.start is None else f"{turn.start:.1f}"
        table.add_row(
            "" if turn.dialog is None else str(turn.dialog), start, shown(who or turn.speaker or ""), shown(turn.text)
        )
    Console().print(table)


def extract(
    given: Given,
    dialog: Annotated[int | None, typer.Option("--dialog", min=0, help="The body of this dialog, from 0.")] = None,
    analysis: Annotated[int | None, typer.Option("--analysis", min=0, help="The body of this analysis.")] = None,
    attachment: Annotated[int | None, typer.Option("--attachment", min=0, help="The body of this attachment.")] = None,
    output: Output = None,
) -> None:
    """Write a body's bytes, decoded, to stdout or a file: a recording, a transcript, an attached file."""
    asked = {"dialog": dialog, "analysis": analysis, "attachments": attachment}
    chosen = [(array, index) for array, index in asked.items() if index is not None]
    if len(chosen) != 1:
        give_up("Say which body: one of --dialog N, --analysis N or --attachment N.")
    vcon = document_of(given)
    array, index = chosen[0]
    elements: list[Any] = vcon.data.get(array) or []
    if index >= len(elements):
        give_up(f"/{array} of vCon {vcon.uuid} has {len(elements)} elements; the first is number 0.", 1)
    media = _media_of(elements[index])
    token, inline = media.kept(elements[index])
    write_bytes(iter((inline,)) if token is None else media.open(token), output)


def _media_of(element: dict[str, Any]) -> MediaStore:
    """Where its body is read; one that stands in the document needs nothing of the installation."""
    from vcon_platform.store.media import MediaStore, token_of
    from vcon_platform.store.objects import open_objects

    return store().media if token_of(element.get("url")) else MediaStore(open_objects("memory://"), 0)

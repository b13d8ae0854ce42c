"""``vcon-platform vcon new``: a vCon from a recording or from an e-mail.

Belongs here: what was typed, parties as a command line writes them. Not here: what the vCon is made of
(``vcon/from_recording.py``, ``vcon/from_email.py``).
"""

from __future__ import annotations

import json as json_text
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from vcon_platform.commands._vcon_given import Output, content_of, document_in, give_up, moment, settings, write_text

app = typer.Typer(no_args_is_help=True, help="A vCon from a recording or an e-mail, written to stdout.")


@app.command("recording")
def recording(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A recording: WAV, MP3, Ogg…; - for stdin.")],
    start: Annotated[str, typer.Option("--start", help="When it began, e.g. 2026-11-01T09:00:00Z.")],
    party: Annotated[
        list[str] | None,
        typer.Option(
            "--party",
            "-p",
            help="Who took part, the channels in their order; may be repeated: a number, an address, a name, "
            "'Ada <+15550100>', or a JSON object.",
        ),
    ] = None,
    into: Annotated[
        str | None, typer.Option("--into", metavar="FILE", help="Add it to this vCon instead of a new one; -: stdin.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Where the recording is kept: only the address and the hash go in.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="What a new vCon is about.")] = None,
    output: Output = None,
) -> None:
    """Make a vCon of a recording: kind and length are read from it.

    The same recording with the same start gives the same uuid.
    """
    from vcon_platform.vcon.from_recording import add_recording, new_vcon, recording_dialog

    if file == "-" and into == "-":
        give_up("Only one of the two can come on stdin.")
    content = content_of(file)
    began = moment(start, "--start")
    name = None if file == "-" else Path(file).name
    dialog = recording_dialog(content, began, filename=name, url=url)
    parties = [party_of(each) for each in party or ()]
    if into is None:
        data = new_vcon(content, began)
        if subject:
            data["subject"] = subject
    else:
        vcon = document_in(into, content_of(into))
        if vcon.sealed is not None:
            give_up("It is signed, and stays as it was signed: 'vcon migrate' writes the vCon inside, unsigned.", 1)
        data = vcon.data
    add_recording(data, dialog, parties)
    write_text(iter((orjson.dumps(data),)), output)


@app.command("email")
def email(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A message as mail programs save it (.eml); - for stdin.")
    ],
    output: Output = None,
) -> None:
    """Make a vCon of an e-mail: From, To, Cc and Bcc are its parties, the body its text, attachments in it.

    The same message always gives the same vCon.
    """
    from vcon_platform.ingress.opening import zone_of
    from vcon_platform.vcon.from_email import vcon_of_email

    data = vcon_of_email(content_of(file), zone_of(settings()))
    write_text(iter((orjson.dumps(data),)), output)


def party_of(text: str) -> dict[str, Any]:
    """A party as a command line writes it."""
    text = text.strip()
    if text.startswith("{"):
        try:
            value = json_text.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            give_up("--party: a party that begins with { must be a JSON object.")
        return value
    name, separator, rest = text.partition("<")
    address = rest.rstrip("> ") if separator else text
    found: dict[str, Any] = {}
    if separator and name.strip():
        found["name"] = name.strip().strip('"')
    if address.lower().startswith(("sip:", "sips:")):
        found["sip"] = address
    elif "@" in address:
        found["mailto"] = parseaddr(address.removeprefix("mailto:"))[1] or address
    elif address.removeprefix("tel:").lstrip("+")[:1].isdigit():
        found["tel"] = address.removeprefix("tel:")
    elif not separator:
        found["name"] = address
    else:
        give_up(f"--party: what stands in <> must be a number or an address, and {address[:40]!r} is none.")
    return found

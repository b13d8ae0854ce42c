"""The processor ``send_email``: one mail about a conversation, sent once, after the conversation is settled.

Belongs here: the options, what becomes part of the effect. Not here: the mail's text (``email_message.py``), what it
brings along (``email_attachments.py``), the server (``smtp_delivery.py``), doing it once (``store/effects.py``).

A pipeline's author names the server, because py_vcon_server's definitions do, so the host is not guarded against
internal addresses: relays stand inside, as a rule. An installation that wants to say where mail may go sets
``VCON_SMTP_HOSTS``. User and password are references to the environment and never part of a definition or an effect.
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vcon_platform.processors.base import Effect, Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.dialog_choice import InputDialogs
from vcon_platform.processors.email_attachments import AttachedVcon, File, enclose, files
from vcon_platform.processors.email_message import bare_address, checked_address, message, recipients
from vcon_platform.processors.references import needed, reference
from vcon_platform.processors.smtp_delivery import Server, deliver
from vcon_platform.vcon.export import ExportVersion

HOSTS = "VCON_SMTP_HOSTS"

Address = Annotated[str, AfterValidator(checked_address)]
_Secret = Annotated[str, AfterValidator(reference("SMTP_"))]


class SendEmailOptions(ProcessorOptions):
    """What ``send_email`` must be told."""

    smtp_host: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._:-]{0,255}$",
        title="Server",
        description="Name or address of the SMTP server. Required.",
    )
    smtp_port: int = Field(
        default=0, ge=0, le=65535, title="Port", description="0: 465 with TLS from the start, else 25."
    )
    smtp_user: _Secret = Field(
        default="",
        title="User",
        description="env:SMTP_USER, or another variable of that kind; empty: no log-in.",
        json_schema_extra={"secret": True},
    )
    smtp_password: _Secret = Field(
        default="",
        title="Password",
        description="env:SMTP_PASSWORD, or another variable of that kind.",
        json_schema_extra={"secret": True},
    )
    use_tls: bool = Field(
        default=False,
        title="TLS from the start",
        description="True: the connection is encrypted from its first byte. So it is without this on port 465, and "
        "for a user where no port is given.",
    )
    starttls: Literal["auto", "required", "off"] = Field(
        default="auto",
        title="STARTTLS",
        description="auto: a plain connection becomes an encrypted one if the server offers it; a password is never "
        "sent unencrypted. required: nothing is sent otherwise. off: never, a password goes in clear.",
    )
    from_address: Annotated[str, AfterValidator(lambda value: value and checked_address(value))] = Field(
        default="", title="From", description="name@host or Name <name@host>. Required."
    )
    to: tuple[Address, ...] = Field(default=(), max_length=100, title="To", description="Recipients.")
    cc: tuple[Address, ...] = Field(default=(), max_length=100, title="Cc", description="Further recipients, shown.")
    bcc: tuple[Address, ...] = Field(
        default=(), max_length=100, title="Bcc", description="Further recipients, not shown to the others."
    )
    subject: str = Field(default="", max_length=10_000, title="Subject", description="Line breaks in it become blanks.")
    text_body: str = Field(default="", max_length=5_000_000, title="Text", description="The mail's text.")
    attach_vcon: AttachedVcon = Field(
        default="",
        title="Attach the vCon",
        description="with_recordings or without_recordings: the vCon as it is at this step goes along as a file; a "
        "signed or encrypted one with its recordings in that form. Empty: it does not.",
    )
    attach_version: ExportVersion = Field(
        default="0.4.0", title="Version", description="The version of the vCon that goes along, as for webhook."
    )
    attach_dialogs: InputDialogs = Field(
        default=(),
        title="Attach dialogs",
        description="Which dialogs go along, each as a file of its own (a recording, a text): '' all, 'n' one, 'n:m' "
        "a slice, or a list of indexes; [] none.",
    )
    attach_analyses: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        title="Attach analyses",
        description="Types of analyses that go along, each as a file: texts as .txt, others as .json.",
    )
    attach_max_bytes: int = Field(
        default=20_000_000,
        ge=1,
        le=64_000_000,
        title="Most bytes",
        description="Bytes of all files together; a mail that would have more is not sent. In the mail they take a "
        "third more, and many servers refuse mails above 25 MB.",
        json_schema_extra={"unit": "bytes"},
    )
    client_hostname: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.:\[\]-]{0,255}$",
        title="Own name",
        description="What this machine calls itself to the server. Empty: its own host name.",
    )


_MAIL = {
    name
    for name in set(SendEmailOptions.model_fields) - set(ProcessorOptions.model_fields)
    if not name.startswith("attach_")
}
"""The options that make the mail itself."""


class SendEmail(Processor[SendEmailOptions]):
    """A mail."""

    name = "send_email"
    version = "1.0.0"
    title = "Send a mail"
    description = (
        "Sends one plain-text mail per conversation, after it is settled and once, also when the pipeline is run again "
        "with the same outcome. Subject and text are built from parameters by format_options; the vCon, recordings and "
        "analyses can go along as files."
    )
    effects = Effects(sends=True)
    options = SendEmailOptions

    def process(self, io: ProcessorIO, options: SendEmailOptions) -> ProcessorIO:
        """Asks for the mail. Raises PermanentError where server, sender or recipients are missing, NotConfigured where
        a variable is."""
        for option in ("smtp_host", "from_address"):
            if not getattr(options, option):
                raise PermanentError(f"/{option}: is empty; a mail needs it")
        body = options.model_dump(mode="json", include=_MAIL)
        count = len(recipients(body))
        if not count:
            raise PermanentError("/to: there is nobody to send the mail to; name at least one of to, cc, bcc")
        _credentials(options.smtp_user, options.smtp_password)
        _allowed(options.smtp_host)
        enclosed = enclose(
            io, options.attach_vcon, options.attach_version, options.attach_dialogs, options.attach_analyses
        )
        summary, about = f"a mail to {count} recipient{'' if count == 1 else 's'} by {options.smtp_host}", None
        if enclosed is not None:  # the same mail is the same whatever became of the files since
            about = {"mail": dict(body), "vcon": io.vcon.uuid}
            body |= {"enclosed": enclosed, "attach_max_bytes": options.attach_max_bytes}
            summary += ", with files"
        io.send(Effect(body, summary, about))
        return io

    def deliver(self, effect: Effect, key: str) -> None:
        """Send the mail."""
        mail = effect.body
        _allowed(mail["smtp_host"])
        user, password = _credentials(mail["smtp_user"], mail["smtp_password"])
        server = Server(
            host=mail["smtp_host"],
            port=mail["smtp_port"],
            use_tls=mail["use_tls"],
            starttls=mail["starttls"],
            user=user,
            password=password,
            client_hostname=mail["client_hostname"],
        )
        deliver(server, bare_address(mail["from_address"]), recipients(mail), message(mail, key, _files(effect)))


def _files(effect: Effect) -> list[File]:
    enclosed = effect.body.get("enclosed")
    if enclosed is None:
        return []
    if effect.lent is None:
        raise PermanentError("the platform lends no recordings here; deliver it by the platform")
    return files(enclosed, effect.lent.media, effect.body["attach_max_bytes"])


def _credentials(user: str, password: str) -> tuple[str, str]:
    if not user:
        return "", ""
    return needed(user, "Mail", "smtp_user"), needed(password, "Mail", "smtp_password")


def _allowed(host: str) -> None:
    hosts = {each.strip().lower() for each in os.environ.get(HOSTS, "").split(",") if each.strip()}
    if hosts and host.lower() not in hosts:
        raise PermanentError(f"/smtp_host: {host} is none of the mail servers that {HOSTS} allows")

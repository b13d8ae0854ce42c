"""Hands one mail to an SMTP server, and says for certain what came of it.

Belongs here: the conversation with the server, and what each end of it means. Not here: what the mail says.

All or nobody: if the server refuses one recipient, the mail is given to none, so that "refused" always means that
nothing happened. A connection that breaks once the text was begun leaves that open (RFC 5321 section 4.5.4.1 has no
answer either), so it is OutcomeUnknown and not tried again by itself. Of a server's answers only the codes are told:
their texts name people.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache

from vcon_platform.processors.base import OutcomeUnknown, PermanentError, TransientError

SECONDS = 30.0
"""For each answer of the server."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to deliver. ``port`` 0: what belongs to the kind of connection (465 for TLS, else 25)."""

    host: str
    port: int = 0
    use_tls: bool = False
    """TLS from the first byte."""
    starttls: str = "auto"
    """auto: if the server offers it; required; off."""
    user: str = ""
    password: str = field(default="", repr=False)
    client_hostname: str = ""

    @property
    def implicit_tls(self) -> bool:
        """TLS from the first byte: as said, by the port that means it, or for a password where no port is given."""
        return self.use_tls or self.port == smtplib.SMTP_SSL_PORT or (self.port == 0 and bool(self.user))


def deliver(server: Server, sender: str, to: Sequence[str], mail: EmailMessage) -> None:
    """Give the mail to the server. Raises TransientError or PermanentError (nothing happened), or OutcomeUnknown."""
    with _connected(server) as smtp:
        try:
            _announce(server, smtp, sender, to)
        except smtplib.SMTPResponseException as error:
            raise _refusal(server, error.smtp_code, error.smtp_error, _step(error)) from None
        except smtplib.SMTPNotSupportedError:
            raise PermanentError(f"{_name(server)} offers no way to log in that is known; check smtp_user") from None
        except ssl.SSLError as error:
            raise _distrust(server, error) from None
        except (OSError, smtplib.SMTPException) as error:
            raise TransientError(f"{_name(server)}: the connection broke ({type(error).__name__})") from None
        _hand_over(server, smtp, mail)


def _connected(server: Server) -> smtplib.SMTP:
    port = server.port or (smtplib.SMTP_SSL_PORT if server.implicit_tls else smtplib.SMTP_PORT)
    name = server.client_hostname or _own_name()
    try:
        if server.implicit_tls:
            context = ssl.create_default_context()
            return _Client(server.host, port, name, context)
        return _Client(server.host, port, name, None)
    except ssl.SSLError as error:
        raise _distrust(server, error) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(server, error.smtp_code, error.smtp_error, "the greeting") from None
    except (OSError, smtplib.SMTPException) as error:
        raise TransientError(
            f"{_name(server)} cannot be reached ({type(error).__name__}); check smtp_host and smtp_port if this lasts"
        ) from None


class _Client(smtplib.SMTP):
    """An SMTP client that leaves without ceremony: what comes of QUIT changes nothing."""

    def __init__(self, host: str, port: int, name: str, context: ssl.SSLContext | None) -> None:
        self._tls = context
        self._server = host
        super().__init__(host, port, name, timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._server)

    def __exit__(self, *_: object) -> None:
        try:
            self.docmd("QUIT")
        except (OSError, smtplib.SMTPException):
            pass
        finally:
            self.close()


def _announce(server: Server, smtp: smtplib.SMTP, sender: str, to: Sequence[str]) -> None:
    smtp.ehlo_or_helo_if_needed()
    if not server.implicit_tls and server.starttls != "off":
        if smtp.has_extn("starttls"):
            code, answer = smtp.starttls(context=ssl.create_default_context())
            if code != 220:
                raise _refusal(server, code, answer, "STARTTLS, which it offers")
            smtp.ehlo_or_helo_if_needed()
        elif server.starttls == "required":
            raise PermanentError(f"{_name(server)} offers no STARTTLS, which the option starttls requires")
    if server.user:
        if not isinstance(smtp.sock, ssl.SSLSocket) and server.starttls != "off":
            raise PermanentError(
                f"{_name(server)} offers no encryption, and a password is not sent without; set use_tls, or starttls: "
                "off to send it in clear"
            )
        smtp.login(server.user, server.password)
    code, answer = smtp.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, answer, "")
    refused: list[tuple[int, bytes]] = []
    for address in to:
        code, answer = smtp.rcpt(address)
        if code not in (250, 251):
            refused.append((code, answer))
    if refused:
        smtp.rset()
        code, answer = max(refused, key=lambda entry: entry[0])
        what = f"{len(refused)} of {len(to)} recipients, so it was given to none"
        raise _refusal(server, code, answer, what)


def _hand_over(server: Server, smtp: smtplib.SMTP, mail: EmailMessage) -> None:
    """The text itself: from its first byte on nobody but the server's answer says what came of it."""
    try:
        code, answer = smtp.docmd("DATA")
    except (OSError, smtplib.SMTPException) as error:
        raise TransientError(f"{_name(server)}: the connection broke ({type(error).__name__})") from None
    if code != 354:
        raise _refusal(server, code, answer, "the mail")
    text = mail.as_bytes()
    dotted = re.sub(rb"(?m)^\.", b"..", text)
    try:
        smtp.send(dotted + (b"" if dotted.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        code, answer = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise OutcomeUnknown(
            f"{_name(server)}: the connection broke while the mail was handed over ({type(error).__name__}); look "
            "whether it arrived, then resend or drop it"
        ) from None
    if not 200 <= code < 300:
        raise _refusal(server, code, answer, "the mail")


def _refusal(server: Server, code: int, answer: bytes | str, what: str) -> TransientError | PermanentError:
    """4xx may pass, everything else will not (RFC 5321 section 4.2.1)."""
    text = answer.decode("ascii", "replace") if isinstance(answer, bytes) else str(answer)
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
    told = f"{_name(server)} refused {what} ({code}{' ' + enhanced[0] if enhanced else ''})"
    if 400 <= code < 500 or code == -1:
        return TransientError(told)
    return PermanentError(told)


def _step(error: smtplib.SMTPResponseException) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return "the log-in: check smtp_user and smtp_password"
        case smtplib.SMTPSenderRefused():
            return "the sender: check from_address"
        case smtplib.SMTPHeloError():
            return "this client: check client_hostname"
    return "the mail"


def _distrust(server: Server, error: ssl.SSLError) -> PermanentError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return PermanentError(
            f"{_name(server)}: its certificate is not to be trusted ({error.verify_message}); name a certificate "
            "authority of your own by SSL_CERT_FILE"
        )
    return PermanentError(f"{_name(server)}: TLS failed ({error.reason}); check smtp_port, use_tls and starttls")


def _name(server: Server) -> str:
    return f"mail server {server.host}"


@cache
def _own_name() -> str:
    """Asked once: it may take a resolver seconds to say that it does not know."""
    return socket.getfqdn()

"""An SMTP server on this machine: keeps what it is given, refuses by the recipient's host, breaks off on demand.

Recipients at refused.example are answered 550, at busy.example 450. A text that holds ``break off`` is taken, and the
connection closed without an answer; one that holds ``too large`` is answered 552.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.fakes.https import certificate_for
from tests.support import free_port


@dataclass(slots=True)
class Received:
    """One mail as it came in: envelope, text, and how the client came."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    text: bytes
    tls: bool
    user: str | None
    client: str

    @property
    def body(self) -> str:
        """The text with plain line ends."""
        return str(self.message.get_content()).replace("\r\n", "\n")


class FakeSmtp:
    """Listens on 127.0.0.1 while its block runs. ``tls``: "" none, "starttls" offered, "implicit" from the start, with
    a certificate of its own; ``users``: name to password, if a log-in is offered; ``refuse_sender``: the answer to
    every sender."""

    def __init__(self, *, tls: str = "", users: dict[str, str] | None = None) -> None:
        self.mails: list[Received] = []
        self.refuse_sender = ""
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory()
        self.certificate = Path(self._folder.name) / "smtp.pem"
        self.certificate.write_bytes(certificate_for(()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._controller = _Listening(
            self,
            {
                "tls_context": context if tls == "starttls" else None,
                "authenticator": _authenticator(users) if users else None,
                "auth_require_tls": tls == "starttls",
            },
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if tls == "implicit" else None,
            ready_timeout=10,
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
        self._folder.cleanup()

    @property
    def messages(self) -> list[EmailMessage]:
        """What was received."""
        return [mail.message for mail in self.mails]

    def _user(self, session: Any) -> str | None:
        return session.auth_data.login.decode() if session.auth_data else None

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if address.endswith("@refused.example"):
            return f"550 5.1.1 <{address}>: no such user"
        if address.endswith("@busy.example"):
            return f"450 4.2.1 <{address}>: try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if b"break off" in envelope.content:
            server.transport.abort()
            return "250 OK"
        if b"too large" in envelope.content:
            return "552 5.3.4 too large"
        self.mails.append(
            Received(
                sender=envelope.mail_from,
                recipients=list(envelope.rcpt_tos),
                message=message_from_bytes(envelope.content, policy=policy.default),
                text=envelope.content,
                tls=server.transport.get_extra_info("sslcontext") is not None,
                user=self._user(session),
                client=session.host_name,
            )
        )
        return "250 OK"


class _Listening(Controller):
    def __init__(self, handler: FakeSmtp, how: dict[str, Any], **where: Any) -> None:
        self._how = how
        super().__init__(handler, **where)

    def factory(self) -> SMTP:
        return SMTP(self.handler, hostname="smtp.test", **self._how)


def _authenticator(users: dict[str, str]) -> Callable[..., AuthResult]:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, auth_data=data if good else None)

    return authenticate

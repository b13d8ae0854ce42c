"""An SMTP server on this machine: keeps what it is given, refuses by the recipient's host, breaks off on demand.

Recipients at refused.example are answered 550, at busy.example 450. A text that holds ``break off`` is taken, and the
connection closed without an answer; one that holds ``too large`` is answered 552.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.fakes.https import certificate_for


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


@dataclass(slots=True)
class FakeSmtp:
    """A running server. ``names``: what clients called themselves."""

    port: int
    certificate: Path
    mails: list[Received] = field(default_factory=list)
    refuse_sender: str = ""

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


@contextlib.contextmanager
def fake_smtp(folder: Path, *, port: int, tls: str = "", users: dict[str, str] | None = None) -> Iterator[FakeSmtp]:
    """Run one on 127.0.0.1 while the block runs. ``tls``: "" none, "starttls" offered, "implicit" from the start;
    ``users``: name to password, if a log-in is offered."""
    certificate = folder / "smtp.pem"
    certificate.write_bytes(certificate_for(()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    fake = FakeSmtp(port, certificate)

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (users or {}).get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, auth_data=data if good else None)

    class Server(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                fake,
                hostname="smtp.test",
                tls_context=context if tls == "starttls" else None,
                authenticator=authenticate if users else None,
                auth_require_tls=tls == "starttls",
            )

    controller = Server(
        fake, hostname="127.0.0.1", port=port, ssl_context=context if tls == "implicit" else None, ready_timeout=10
    )
    controller.start()
    try:
        yield fake
    finally:
        controller.stop()

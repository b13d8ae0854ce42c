"""An HTTPS server on this machine with a certificate of its own, and answers that a careful client must survive."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class FakeHttps:
    """A running server: what it answers by path, and what it was asked (path, headers)."""

    port: int
    certificate: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def tls(self) -> ssl.SSLContext:
        """A client's context that trusts this server, and no other."""
        return ssl.create_default_context(cafile=self.certificate)

    def content(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer ``path`` with these bytes."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                request.send_header(name.replace("_", "-"), value)
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        """Answer ``path`` with a redirect."""
        self.content(path, b"", status, Location=to)

    def trickle(self, path: str, head: bytes, piece: bytes, pause: float) -> None:
        """Answer ``path`` with ``head``, then with ``piece`` again and again without an end."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            with contextlib.suppress(OSError):
                request.wfile.write(head)
                while not self.stopping.wait(pause):
                    request.wfile.write(piece)
            request.close_connection = True

        self.answers[path] = answer


@contextlib.contextmanager
def fake_https(folder: Path, *names: str) -> Iterator[FakeHttps]:
    """Run one on 127.0.0.1 that proves these names, while the block runs."""
    certificate = folder / "server.pem"
    certificate.write_bytes(certificate_for(names))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)  # in the request's own thread
            super().setup()

        def do_GET(self) -> None:
            fake.asked.append((self.path, dict(self.headers.items())))
            answer = fake.answers.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that hangs up, or does not trust us, is what these tests are about

    server = Server(("127.0.0.1", 0), Handler)
    fake = FakeHttps(server.server_address[1], certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.stopping.set()
        server.shutdown()
        server.server_close()


def certificate_for(names: tuple[str, ...]) -> bytes:
    """A private key and a self-signed certificate for these names and 127.0.0.1, as one PEM file has them."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)

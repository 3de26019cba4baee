"""A receiver of the clinic's, as pytest fixtures: a real https server on loopback, with a certificate of an authority made for the run."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = ("127.0.0.0/8", "::1/128")


def means(*addresses: str, asked: list[str] | None = None) -> Callable[..., list[tuple[Any, ...]]]:
    """A name service in which every name means `addresses`."""

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if asked is not None:
            asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


@dataclass
class Receiver:
    """An https server on loopback: what it was asked, and how it answers."""

    port: int = 0
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    with_headers: list[dict[str, str]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    status: int = 200
    first: list[int] = field(default_factory=list)  # statuses of the next answers, before `status`
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"taken":true}'


class Answering(BaseHTTPRequestHandler):
    """Answers as its `receiver` says."""

    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.receiver.seen.append((self.headers["Host"], self.path, body))
        self.receiver.with_headers.append({name.lower(): value for name, value in self.headers.items()})
        status = self.receiver.first.pop(0) if self.receiver.first else self.receiver.status
        self.receiver.answered.append(status)
        self.send_response(status)
        said = {"Content-Type": "application/json", "Content-Length": str(len(self.receiver.body)), **self.receiver.headers}
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.receiver.body)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(our certificate authority's certificate, the certificate and key of `receiver.test` that it signed), as PEM files."""
    folder = tmp_path_factory.mktemp("authority")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("invented authority", ca_key, by="invented authority", signed_with=ca_key, ca=True)
    leaf = certificate("receiver.test", key, by="invented authority", signed_with=ca_key, ca=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "receiver.pem").write_bytes(leaf.public_bytes(pem) + private)
    return folder / "ca.pem", folder / "receiver.pem"


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, *, by: str, signed_with: ec.EllipticCurvePrivateKey, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, by))
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_with.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.test")]), critical=False)
        .add_extension(authority_key, critical=False)
        .sign(signed_with, hashes.SHA256())
    )


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Answering,), {"receiver": receiver}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver(authority: tuple[Path, Path]) -> Iterator[Receiver]:
    """A receiver at `https://receiver.test:PORT`."""
    with receiving(authority[1]) as found:
        yield found

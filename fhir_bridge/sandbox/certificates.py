"""Certificates of a hospital on this machine: a good one, one whose time is over, and one of another host. Each signed by itself."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_bridge.clock import utc_now

AUTHORITIES = "ca.pem"
_MADE = {"": ("localhost", 1), "tls-expired": ("localhost", -1), "tls-wrong-host": ("elsewhere.example", 1)}  # host, days left


def made_in(folder: Path) -> Callable[[str], ssl.SSLContext]:
    """A server's TLS by the kind of trouble there is, good for any that is not TLS's; who trusts `AUTHORITIES` in `folder` trusts each."""
    contexts = {kind: _context(folder, kind) for kind in _MADE}
    return lambda trouble: contexts.get(trouble, contexts[""])


def _context(folder: Path, kind: str) -> ssl.SSLContext:
    file = folder / f"certificate{kind}.pem"
    public, private = _certificate(*_MADE[kind], kind)
    file.write_bytes(public + private)
    with (folder / AUTHORITIES).open("ab") as trusted:
        trusted.write(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _certificate(host: str, days: int, kind: str) -> tuple[bytes, bytes]:
    """(certificate, key), as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{host} {kind}")])
    names = [x509.DNSName(host), *([x509.IPAddress(ip_address("127.0.0.1"))] if host == "localhost" else [])]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    unprotected = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unprotected)
    return made.public_bytes(serialization.Encoding.PEM), private

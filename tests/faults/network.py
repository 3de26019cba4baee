"""A hospital behind a network that fails: the relay, certificates good and bad, and a name service that forgets."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rehearsal import Ward, ward

from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.relay import relaying

CERTIFICATES = {"": ("localhost", 1), "tls-expired": ("localhost", -1), "tls-wrong-host": ("elsewhere.example", 1)}  # host, days left


@contextmanager
def networked(like: str, kind: str, folder: Path) -> Iterator[Ward]:
    """The hospital behind a relay; over TLS where the trouble is TLS's. Files for its processes are made in `folder`."""
    forgotten = folder / "forgotten-names"
    order = {"forgotten_names": str(forgotten)}
    if kind.startswith("tls-"):
        for name in CERTIFICATES:
            _certificate(folder, name)
        order["ca"] = str(folder / "ca.pem")
    with ward(like) as hospital:
        port = urlsplit(hospital.base_url).port
        assert port is not None
        with relaying(port, tls=partial(_context, folder) if "ca" in order else None) as relay:
            relay.changed = lambda trouble: forgotten.touch() if trouble == "unresolved" else forgotten.unlink(missing_ok=True)
            yield replace(hospital, base_url=relay.base_url, network=relay, order=order)


def _context(folder: Path, trouble: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"certificate{trouble}.pem")
    return context


def _certificate(folder: Path, name: str) -> None:
    """A certificate with its key, signed by itself, and trusted by who reads `ca.pem`."""
    host, days = CERTIFICATES[name]
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{host} {name}")])
    names = [x509.DNSName(host), *([x509.IPAddress(ip_address("127.0.0.1"))] if host == "localhost" else [])]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"certificate{name}.pem").write_bytes(public + private)
    with (folder / "ca.pem").open("ab") as trusted:
        trusted.write(public)

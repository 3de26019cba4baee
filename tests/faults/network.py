"""A hospital behind a network that fails: the relay, certificates good and bad, and a name service that forgets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from rehearsal import Ward, ward

from fhir_bridge.sandbox.certificates import AUTHORITIES, made_in
from fhir_bridge.sandbox.relay import relaying


@contextmanager
def networked(like: str, kind: str, folder: Path) -> Iterator[Ward]:
    """The hospital behind a relay; over TLS where the trouble is TLS's. Files for its processes are made in `folder`."""
    forgotten = folder / "forgotten-names"
    order = {"forgotten_names": str(forgotten)}
    tls = made_in(folder) if kind.startswith("tls-") else None
    if tls:
        order["ca"] = str(folder / AUTHORITIES)
    with ward(like) as hospital:
        port = urlsplit(hospital.base_url).port
        assert port is not None
        with relaying(port, tls=tls) as relay:
            relay.changed = lambda trouble: forgotten.touch() if trouble == "unresolved" else forgotten.unlink(missing_ok=True)
            yield replace(hospital, base_url=relay.base_url, network=relay, order=order)

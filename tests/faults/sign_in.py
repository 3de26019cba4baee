"""A token endpoint that hands every caller a token nobody may find on a disk, and a hospital that asks for it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey
from rehearsal import Ward

from fhir_bridge import documents
from fhir_bridge.sandbox.running import running


@dataclass(frozen=True)
class SignedIn:
    """What a worker is told to sign in (`order`), and the token it gets."""

    order: dict[str, Any]
    token: str


@contextmanager
def signed_in(hospital: Ward) -> Iterator[SignedIn]:
    """`hospital` lets nobody in without the token; tokens hold for a minute, so that each call needs a fresh one."""
    token = "canary-token-of-the-rehearsal"
    key = ECKey.generate_key("P-384", {"kid": "rehearsal"}, private=True).as_dict(private=True)
    app = hospital.faults.app

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_AUTHORIZATION") == f"Bearer {token}":
            return app(environ, start_response)
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return [b""]

    hospital.faults.app = guarded
    with running(lambda environ, start: _grant(token, environ, start)) as endpoint:
        yield SignedIn({"key": key, "token_url": f"http://127.0.0.1:{endpoint.port}/token"}, token)


def _grant(token: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    body = documents.dumps({"access_token": token, "token_type": "bearer", "expires_in": 60})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

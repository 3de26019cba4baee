"""A hospital that asks for a token, and hands every caller one that nobody may find on a disk."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey
from rehearsal import Ward

from fhir_bridge import documents

AT = "/token"


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
        if environ["PATH_INFO"] == AT:
            return _grant(token, environ, start_response)
        if environ.get("HTTP_AUTHORIZATION") == f"Bearer {token}":
            return app(environ, start_response)
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return [b""]

    hospital.faults.app = guarded
    yield SignedIn({"key": key, "token_url": hospital.base_url.removesuffix("/fhir") + AT}, token)
    hospital.faults.app = app


def _grant(token: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    body = documents.dumps({"access_token": token, "token_type": "bearer", "expires_in": 60})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

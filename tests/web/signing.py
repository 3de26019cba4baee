"""A hospital that signs in: its key pair, its assertions good and bad, and its registration at a bridge."""

import io
import json
import time
import uuid
import warnings
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from fhir_bridge import documents
from fhir_bridge.store import clients, sign_in
from fhir_bridge.store.clients import Client
from fhir_bridge.store.sign_in import PublicKeys
from fhir_bridge.sync.bridge import Bridge

TOKEN = "/oauth/token"
AUDIENCE = "http://localhost/oauth/token"  # as Flask's test client calls it
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "system/ServiceRequest.crs"
Doc = dict[str, Any]


def pair(kid: str = "k1", curve: str = "P-384") -> ECKey:
    """A key pair on a curve."""
    return ECKey.generate_key(curve, {"kid": kid}, private=True)


def rsa_pair(kid: str = "r1", bits: int = 2048) -> RSAKey:
    """An RSA key pair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a key is short is what some tests are about
        return RSAKey.generate_key(bits, {"kid": kid}, private=True)


def public(*keys: ECKey | RSAKey) -> Doc:
    """The JWKS of the keys' public parts."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def claims(client_id: str = "general", *, now: float | None = None, **other: Any) -> Doc:
    """Those of a good assertion; `other` replaces some, None takes one away."""
    at = int(now if now is not None else time.time())
    made = {"iss": client_id, "sub": client_id, "aud": AUDIENCE, "iat": at, "exp": at + 240, "jti": str(uuid.uuid4())} | other
    return {name: value for name, value in made.items() if value is not None}


def signed(key: Any, told: Doc, *, alg: str = "ES384", **header: Any) -> str:
    """`told` signed by `key`; `header` adds, replaces, or with None takes away."""
    said = {"alg": alg, "kid": getattr(key, "kid", "k1"), "typ": "JWT"} | header
    said = {name: value for name, value in said.items() if value is not None}
    return jws.serialize_compact(said, json.dumps(told).encode(), key, algorithms=[alg])


def form(assertion: str, **other: Any) -> Doc:
    """A token request with this assertion."""
    return {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    } | other


def register(bridge: Bridge, jwks: Doc | str, *, id: str = "general", tenant: str = "north", **more: Any) -> None:
    """The hospital's client `id`, by its public keys or their address."""
    with bridge.store.transaction() as tx:
        allowed = {"scopes": SCOPE} | more
        clients.register(tx, Client(tenant, id, id, "hospital", tx.now, **allowed))
        given = {"url": jwks} if isinstance(jwks, str) else {"url": None, "jwks": documents.dumps(jwks)}
        sign_in.put_public_keys(tx, PublicKeys(tenant, id, **given))


class Unread(io.RawIOBase):
    """A request's body that nobody may look at."""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, *_: int) -> int:
        return 0

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


@dataclass
class Signer:
    """A registered hospital at a bridge's doors."""

    door: FlaskClient
    key: ECKey | RSAKey = field(default_factory=pair)
    client_id: str = "general"

    def ask(self, **other: Any) -> Any:
        """The answer to a good token request; `other` replaces parameters of it."""
        alg = "RS384" if isinstance(self.key, RSAKey) else "ES384"
        return self.door.post(TOKEN, data=form(signed(self.key, claims(self.client_id), alg=alg)) | other)

    def token(self, **other: Any) -> str:
        """A token."""
        answer = self.ask(**other)
        assert answer.status_code == 200, answer.data
        return str(answer.json["access_token"])

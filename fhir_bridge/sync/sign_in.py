"""Who may come in: a token for an assertion (SMART Backend Services), and the client behind a key or a token.

An assertion is good once, in whatever process it comes: its number is written down in the transaction that gives the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network

from fhir_bridge.store import audit, clients, refusals, sign_in
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import assertion as sign_in_assertion
from fhir_bridge.sync.clients import jwks
from fhir_bridge.sync.clients import scopes as sign_in_scopes
from fhir_bridge.sync.clients.assertion import Assertion, Denied

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = timedelta(seconds=300)


@dataclass(frozen=True, slots=True, repr=False)
class Granted:
    """A token, what it is good for, and for how many seconds."""

    token: str
    scopes: str
    seconds: int


def grant(bridge: Bridge, form: Mapping[str, str], *, audience: str, address: str | None) -> Granted:
    """A token for a token request from `address` to `audience`, our token endpoint's own address; raises `Denied`."""
    if form.get("grant_type") != "client_credentials":
        raise Denied("grant_type is not client_credentials", "unsupported_grant_type")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise Denied("client_assertion_type is not jwt-bearer")
    assertion = sign_in_assertion.read(form.get("client_assertion", ""))
    if form.get("client_id", assertion.client_id) != assertion.client_id:
        raise Denied("client_id is not the assertion's")
    client = _believed(bridge, assertion, audience)
    if client.tenant not in bridge.sites or not client.may_call_from(address):
        raise Denied("not from this address, or of no site")
    if not (scopes := sign_in_scopes.granted(form.get("scope", ""), client.scopes)):
        raise Denied("no scope that is registered", "invalid_scope")
    return _give(bridge, client, assertion, scopes)


def caller(bridge: Bridge, shown: str) -> Client | None:
    """The client that holds this key or token, with what it may do; None for what is unknown, ended or revoked."""
    with bridge.store.reading() as tx:
        return clients.authenticate(tx, shown) or sign_in.holder(tx, shown)


def refused(bridge: Bridge, address: str | None) -> int:
    """Counts that a caller at `address` was refused; seconds it should wait when that happens too often, else 0.

    Asked only after a refusal, so that nobody who may come in is ever held up, whoever else calls from the same address. Whoever
    is told to wait costs a read and no write.
    """
    if not bridge.refusals_per_minute:
        return 0
    caller = _network(address)
    with bridge.store.reading() as tx:
        seconds = refusals.wait(tx, caller, limit=bridge.refusals_per_minute, now=tx.now)
    if not seconds:
        with bridge.store.transaction() as tx:
            refusals.count(tx, caller, now=tx.now)
    return seconds


def _network(address: str | None) -> str:
    """One caller's address: IPv6 by its network, of which a single host has every address."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(found) if found.version == 4 else str(ip_network(f"{found}/64", strict=False))


def _believed(bridge: Bridge, assertion: Assertion, audience: str) -> Client:
    with bridge.store.reading() as tx:
        now, found = tx.now, sign_in.registered(tx, assertion.client_id)
    if found is None:
        raise Denied("no such client")
    client, registered = found
    keys = jwks.keys_of(bridge, registered, kid=assertion.kid, now=now)
    sign_in_assertion.check(assertion, keys, jwks_url=registered.url, audience=audience, now=now)
    return client


def _give(bridge: Bridge, client: Client, assertion: Assertion, scopes: str) -> Granted:
    with bridge.store.transaction() as tx:
        now = tx.now
        ends_at = assertion.ends_at + sign_in_assertion.SKEW
        if not sign_in.use_proof(tx, client=client, kind="jti", proof=assertion.jti, ends_at=ends_at):
            raise Denied("jti was used before")
        token = sign_in.give_token(tx, client, scopes=scopes, now=now, ends_at=now + LIFE)
        sign_in.forget_ended(tx, client.tenant, now=now)
        detail = {"scopes": scopes}
        audit.write(
            tx, tenant=client.tenant, actor=client.id, action="issue-token", subject=f"client/{client.id}",
            detail=detail, now=now, key=bridge.audit_key,
        )  # fmt: skip
    return Granted(token, scopes, int(LIFE.total_seconds()))

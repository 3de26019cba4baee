"""`fhir-bridge clients`: who may call our doors, and by what. A secret is shown once; the database cannot give it away."""

import getpass
from datetime import timedelta
from typing import Any, BinaryIO

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.credentials import Duration, credential_options, networks, scopes, wanted
from fhir_bridge.cli.output import emit, json_option, say, site_option
from fhir_bridge.cli.senders import keep, sender_options
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import clients
from fhir_bridge.store.clients import Client, Held
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync.clients import registry


@click.group("clients")
def command() -> None:
    """Add, list, rotate and revoke the clients that may call the bridge."""


@command.command("add")
@click.argument("id")
@click.option("--name", help="Who it is, for people.  [default: the id]")
@click.option("--kind", type=click.Choice(clients.KINDS), default="clinic", show_default=True)
@credential_options
@click.option("--scope", "allowed", multiple=True, help="What a hospital may do, like system/ServiceRequest.cr; may be said again.")
@click.option("--from", "calls_from", multiple=True, help="A network it may call from, like 10.0.0.0/8; may be said again.")
@sender_options
@site_option
@json_option
def add(
    id: str, name: str | None, kind: str, jwks: BinaryIO | None, jwks_url: str | None, signs: bool, expires: timedelta | None,
    allowed: tuple[str, ...], calls_from: tuple[str, ...], site: str, as_json: bool, **sender: str | None,
) -> None:  # fmt: skip
    """Add a client and print its key, which cannot be shown again."""
    means = wanted(jwks, jwks_url, signs=signs, expires=expires)
    if means.by_public_keys and kind != "hospital":
        raise Refused([Fault("--jwks", "is how a hospital signs in; give a clinic a key, or --hmac")])
    may, calls, bridge = scopes(kind, allowed), networks(calls_from), opened.bridge(site)
    with bridge.store.reading() as tx:
        client = Client(site, id, name or id, kind, tx.now, scopes=may, networks=calls)
    said, known = Sender(site, id, **sender), bridge.sites[site].hospitals
    shown = registry.register(
        bridge,
        client,
        means,
        by=getpass.getuser(),
        alongside=lambda tx: keep(tx, said, kind=kind, known=known),
    )
    if jwks_url and not registry.readable(bridge, client):
        say("No public keys of use can be read at this address yet; it is asked again when the client signs in.")
    told = {"site": site, "id": id, "kind": kind, **shown, **({"client_id": id} if means.by_public_keys else {})}
    emit(told, as_json=as_json, text=lambda: "\n".join(shown.values()) or f"{id} signs in with its own keys")


@command.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Print every client, the revoked ones too, and by what each comes in until when."""
    with opened.bridge().store.reading() as tx:
        found = [_told(client, clients.held(tx, client)) for client in clients.listing(tx)]
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No client yet.")


@command.command("rotate")
@click.argument("id")
@click.option("--overlap", type=Duration(), default="24h", show_default=True, help="So long the old keys go on; 0m when one is stolen.")
@credential_options
@site_option
@json_option
def rotate(
    id: str, overlap: timedelta, jwks: BinaryIO | None, jwks_url: str | None, signs: bool, expires: timedelta | None,
    site: str, as_json: bool,
) -> None:  # fmt: skip
    """Print a new key for the client; the old ones go on until the overlap ends."""
    means, bridge = wanted(jwks, jwks_url, signs=signs, expires=expires), opened.bridge(site)
    shown, until = registry.rotate(bridge, tenant=site, id=id, wanted=means, overlap=overlap, by=getpass.getuser())
    told = {"site": site, "id": id, **shown, **({"old_until": until.isoformat()} if shown else {})}
    emit(told, as_json=as_json, text=lambda: "\n".join(shown.values()) or f"{id} has new public keys")
    if shown and not as_json:
        say(f"The old ones end at {until.isoformat(timespec='seconds')}.")


@command.command("revoke")
@click.argument("id")
@site_option
@json_option
def revoke(id: str, site: str, as_json: bool) -> None:
    """Let the client's keys and tokens open nothing from now on."""
    registry.revoke(opened.bridge(site), tenant=site, id=id, by=getpass.getuser())
    emit({"site": site, "id": id, "revoked": True}, as_json=as_json, text=lambda: f"{id} is revoked")


def _told(client: Client, held: list[Held]) -> dict[str, Any]:
    state = f"revoked {client.revoked_at.isoformat()}" if client.revoked_at else "active"
    told: dict[str, Any] = {"site": client.tenant, "id": client.id, "kind": client.kind, "name": client.name, "state": state}
    told["by"] = [{"means": one.means, **({"until": one.ends_at.isoformat()} if one.ends_at else {})} for one in held]
    for name in ("scopes", "networks"):
        if words := getattr(client, name):
            told[name] = words.split()
    return told


def _line(told: dict[str, Any]) -> str:
    by = ", ".join(f"{one['means']} until {one['until'][:16]}" if "until" in one else one["means"] for one in told["by"])
    return "  ".join([*(told[name] for name in ("site", "id", "kind", "name", "state")), by or "nothing"])

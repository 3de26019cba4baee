"""`fhir-bridge clients`: who may call the clinic's API. A key is shown once; the database keeps its hash."""

from typing import Any

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.cli.senders import keep, sender_options
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.store import clients
from fhir_bridge.store.database import Store
from fhir_bridge.store.senders import Sender


@click.group("clients")
def command() -> None:
    """Add, list and revoke the clinic's API keys."""


@command.command("add")
@click.argument("id")
@click.option("--name", help="Who it is, for people.  [default: the id]")
@click.option("--kind", type=click.Choice(clients.KINDS), default="clinic", show_default=True)
@sender_options
@site_option
@json_option
def add(id: str, name: str | None, kind: str, site: str, as_json: bool, **sender: str | None) -> None:
    """Add a client and print its key, which cannot be shown again."""
    settings = Settings.from_environ()
    if site not in settings.sites:
        raise Refused([Fault("--site", f"no site {site!r} is set; known: {', '.join(settings.sites)}")])
    with _store(settings).transaction() as tx:
        key = clients.add(tx, tenant=site, id=id, name=name or id, kind=kind, now=tx.now)
        keep(tx, settings, Sender(site, id, **sender), kind=kind)
    emit({"site": site, "id": id, "kind": kind, "key": key}, as_json=as_json, text=lambda: key)


@command.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Print every client, the revoked ones too."""
    with _store(Settings.from_environ()).reading() as tx:
        found = [_told(client) for client in clients.listing(tx)]
    emit(found, as_json=as_json, text=lambda: "\n".join("  ".join(map(str, client.values())) for client in found) or "No client yet.")


@command.command("revoke")
@click.argument("id")
@site_option
@json_option
def revoke(id: str, site: str, as_json: bool) -> None:
    """Let the client's key open nothing from now on."""
    with _store(Settings.from_environ()).transaction() as tx:
        if not clients.revoke(tx, tenant=site, id=id, now=tx.now):
            raise Refused([Fault("id", "the site has no active client of this id")])
    emit({"site": site, "id": id, "revoked": True}, as_json=as_json, text=lambda: f"{id} is revoked")


def _store(settings: Settings) -> Store:
    bootstrap.prepare(settings)
    return bootstrap.store(settings)


def _told(client: clients.Client) -> dict[str, Any]:
    state = f"revoked {client.revoked_at.isoformat()}" if client.revoked_at else "active"
    return {"site": client.tenant, "id": client.id, "kind": client.kind, "name": client.name, "state": state}

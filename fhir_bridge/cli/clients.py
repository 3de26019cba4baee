"""`fhir-bridge clients`: who may call our doors, and by what. A secret is shown once; the database cannot give it away."""

import getpass
import re
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, BinaryIO

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, read, say, site_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.store import clients
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import sign_in_clients, sign_in_scopes
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.sign_in_clients import Wanted

_DURATION = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """`30m`, `24h`, `90d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail("say minutes, hours or days like 30m, 24h or 90d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


jwks_option = click.option("--jwks", type=click.File("rb"), help="A file with the client's public keys (JWKS); it signs in with them.")
url_option = click.option("--jwks-url", help="Where the client publishes its public keys, https.")
lasts_option = click.option("--expires", type=Duration(), help="The key ends after so long, like 90d.  [default: never]")


@click.group("clients")
def command() -> None:
    """Add, list, rotate and revoke the clients that may call the bridge."""


@command.command("add")
@click.argument("id")
@click.option("--name", help="Who it is, for people.  [default: the id]")
@click.option("--kind", type=click.Choice(clients.KINDS), default="clinic", show_default=True)
@jwks_option
@url_option
@click.option("--hmac", "signs", is_flag=True, help="It signs its requests with a secret instead of showing a key.")
@click.option("--scope", "scopes", multiple=True, help="What a hospital may do, like system/ServiceRequest.cr; may be said again.")
@click.option("--from", "networks", multiple=True, help="A network it may call from, like 10.0.0.0/8; may be said again.")
@lasts_option
@site_option
@json_option
def add(
    id: str, name: str | None, kind: str, jwks: BinaryIO | None, jwks_url: str | None, signs: bool,
    scopes: tuple[str, ...], networks: tuple[str, ...], expires: timedelta | None, site: str, as_json: bool,
) -> None:  # fmt: skip
    """Add a client and print its key, which cannot be shown again."""
    wanted = _wanted(jwks, jwks_url, kind="hmac" if signs else "key", lasts=expires)
    allowed = _scopes(kind, scopes)
    bridge = _bridge(site)
    with bridge.store.reading() as tx:
        client = Client(site, id, name or id, kind, tx.now, scopes=allowed, networks=_networks(networks))
    if wanted.by_public_keys and kind != "hospital":
        raise Refused([Fault("--jwks", "is how a hospital signs in; give a clinic a key, or --hmac")])
    shown = sign_in_clients.register(bridge, client, wanted, by=getpass.getuser())
    if jwks_url and not sign_in_clients.readable(bridge, client):
        say("No public keys of use can be read at this address yet; it is asked again when the client signs in.")
    told = {"site": site, "id": id, "kind": kind, **shown, **({"client_id": id} if wanted.by_public_keys else {})}
    emit(told, as_json=as_json, text=lambda: "\n".join(shown.values()) or f"{id} signs in with its own keys")


@command.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Print every client, the revoked ones too."""
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    with bootstrap.store(settings).reading() as tx:
        found = [_told(client) for client in clients.listing(tx)]
    emit(found, as_json=as_json, text=lambda: "\n".join("  ".join(map(str, client.values())) for client in found) or "No client yet.")


@command.command("rotate")
@click.argument("id")
@click.option("--overlap", type=Duration(), default="24h", show_default=True, help="So long the old keys go on; 0m when one is stolen.")
@click.option("--hmac", "signs", is_flag=True, help="A new secret to sign with.")
@jwks_option
@url_option
@lasts_option
@site_option
@json_option
def rotate(
    id: str, overlap: timedelta, signs: bool, jwks: BinaryIO | None, jwks_url: str | None, expires: timedelta | None,
    site: str, as_json: bool,
) -> None:  # fmt: skip
    """Print a new key for the client; the old ones go on until the overlap ends."""
    wanted = _wanted(jwks, jwks_url, kind="hmac" if signs else "key", lasts=expires)
    shown, until = sign_in_clients.rotate(_bridge(site), tenant=site, id=id, wanted=wanted, overlap=overlap, by=getpass.getuser())
    emit(_rotated(site, id, shown, until), as_json=as_json, text=lambda: "\n".join(shown.values()) or f"{id} has new public keys")
    if shown and not as_json:
        say(f"The old ones end at {until.isoformat(timespec='seconds')}.")


@command.command("revoke")
@click.argument("id")
@site_option
@json_option
def revoke(id: str, site: str, as_json: bool) -> None:
    """Let the client's keys and tokens open nothing from now on."""
    sign_in_clients.revoke(_bridge(site), tenant=site, id=id, by=getpass.getuser())
    emit({"site": site, "id": id, "revoked": True}, as_json=as_json, text=lambda: f"{id} is revoked")


def _bridge(site: str) -> Bridge:
    settings = Settings.from_environ()
    if site not in settings.sites:
        raise Refused([Fault("--site", f"no site {site!r} is set; known: {', '.join(settings.sites)}")])
    bootstrap.prepare(settings)
    return bootstrap.bridge(settings)


def _wanted(jwks: BinaryIO | None, jwks_url: str | None, *, kind: str, lasts: timedelta | None) -> Wanted:
    if (jwks is not None) + (jwks_url is not None) + (kind == "hmac") > 1:
        raise click.UsageError("say one of --jwks, --jwks-url and --hmac")
    return Wanted(kind, read(jwks) if jwks else None, jwks_url, lasts)


def _scopes(kind: str, said: tuple[str, ...]) -> str:
    wanted = " ".join(said).split()
    if wanted and kind != "hospital":
        raise Refused([Fault("--scope", "is for hospitals; a clinic's client may do what the clinic may")])
    if unknown := sign_in_scopes.unknown(" ".join(wanted)):
        raise Refused([Fault("--scope", f"{one} is none; say one like system/ServiceRequest.cruds") for one in unknown])
    return " ".join(wanted) or (sign_in_scopes.ALL if kind == "hospital" else "")


def _networks(said: tuple[str, ...]) -> str:
    try:
        return " ".join(str(ip_network(one)) for one in said)
    except ValueError:
        raise Refused([Fault("--from", "must be a network like 10.0.0.0/8, or one address")]) from None


def _rotated(site: str, id: str, shown: sign_in_clients.Shown, until: datetime) -> dict[str, Any]:
    return {"site": site, "id": id, **shown, "old_until": until.isoformat()}


def _told(client: Client) -> dict[str, Any]:
    state = f"revoked {client.revoked_at.isoformat()}" if client.revoked_at else "active"
    return {"site": client.tenant, "id": client.id, "kind": client.kind, "name": client.name, "state": state}

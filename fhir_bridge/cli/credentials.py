"""What `fhir-bridge clients` may be told of how a client proves who it is, what it may do, and where it calls from."""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any, BinaryIO, TypeVar

import click

from fhir_bridge.cli.output import read
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sync.clients import scopes as sign_in_scopes
from fhir_bridge.sync.clients.registry import Wanted

F = TypeVar("F", bound=Callable[..., Any])
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


def credential_options(command: F) -> F:
    """`--jwks`, `--jwks-url`, `--hmac`, `--expires`."""
    for option in (
        click.option("--expires", type=Duration(), help="The key ends after so long, like 90d.  [default: never]"),
        click.option("--hmac", "signs", is_flag=True, help="It signs its requests with a secret instead of showing a key."),
        click.option("--jwks-url", help="Where the client publishes its public keys, https."),
        click.option("--jwks", type=click.File("rb"), help="A file with the client's public keys (JWKS); it signs in with them."),
    ):
        command = option(command)
    return command


def wanted(jwks: BinaryIO | None, jwks_url: str | None, *, signs: bool, expires: timedelta | None) -> Wanted:
    """What the options say; raises a usage error when they say several ways, and `Refused` for a file that is no JSON."""
    if (jwks is not None) + (jwks_url is not None) + signs > 1:
        raise click.UsageError("say one of --jwks, --jwks-url and --hmac")
    return Wanted("hmac" if signs else "key", read(jwks) if jwks else None, jwks_url, expires)


def scopes(kind: str, said: tuple[str, ...]) -> str:
    """The scopes of a client of this kind, as words; raises `Refused` for what is none."""
    words = " ".join(said).split()
    if words and kind != "hospital":
        raise Refused([Fault("--scope", "is for hospitals; a clinic's client may do what the clinic may")])
    if unknown := sign_in_scopes.unknown(" ".join(words)):
        raise Refused([Fault("--scope", f"{one} is none; say one like system/ServiceRequest.cruds") for one in unknown])
    return " ".join(words) or (sign_in_scopes.ALL if kind == "hospital" else "")


def networks(said: tuple[str, ...]) -> str:
    """The networks as words; raises `Refused` for what is none."""
    try:
        return " ".join(str(ip_network(one)) for one in said)
    except ValueError:
        raise Refused([Fault("--from", "must be a network like 10.0.0.0/8, or one address")]) from None

"""`fhir-bridge keys`: the keys we sign in to hospitals with. Their private parts stay in their files."""

from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import click

from fhir_bridge import clock
from fhir_bridge.cli.output import emit, json_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync import keys
from fhir_bridge.sync.keys import Algorithm, Folder, Key

algorithm_option = click.option("--algorithm", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True)


@click.group("keys")
def command() -> None:
    """Make, rotate and show the keys we sign in to hospitals with."""


@command.command("generate")
@algorithm_option
@json_option
def generate(algorithm: str, as_json: bool) -> None:
    """Make the first key; it signs at once."""
    folder, now = _folder(), clock.utc_now()
    if keys.published(folder.load(), now):
        raise Refused([Fault("keys", "there is a key already; `fhir-bridge keys rotate` puts a new one in its place")])
    fresh = keys.new(str(uuid4()), algorithm=cast(Algorithm, algorithm), now=now, signs_from=now)
    folder.keep([fresh], now)
    _emit([fresh], as_json=as_json)


@command.command("rotate")
@algorithm_option
@click.option(
    "--lead-hours",
    type=click.FloatRange(0, 24 * 30),
    default=keys.LEAD / timedelta(hours=1),
    show_default=True,
    help="So long the new key is published before it signs, and the old one after. 0 when the old one is no longer secret.",
)
@json_option
def rotate(algorithm: str, lead_hours: float, as_json: bool) -> None:
    """Make a new key beside the one in use; both are valid until every hospital has read the new one."""
    folder, now = _folder(), clock.utc_now()
    fresh = keys.new(str(uuid4()), algorithm=cast(Algorithm, algorithm), now=now, signs_from=now + timedelta(hours=lead_hours))
    kept = keys.rotated(folder.load(), fresh)
    folder.keep(kept, now)
    _emit(keys.published(kept, now), as_json=as_json)


@command.command("show")
@json_option
def show(as_json: bool) -> None:
    """Print the public keys: which signs now, from when and until when each is published; with --json, the JWKS."""
    folder, now = _folder(), clock.utc_now()
    if as_json:
        emit(folder.jwks(now), as_json=True)
    else:
        _emit(keys.published(folder.load(), now), as_json=False)


def _folder() -> Folder:
    if (path := Settings.from_environ().keys) is None:
        raise Refused([Fault("FHIR_BRIDGE_KEYS", "is not set; name the folder that holds our keys")])
    return Folder(path)


def _emit(found: list[Key], *, as_json: bool) -> None:
    now = clock.utc_now()
    signs = keys.signing(found, now)
    told = [_told(key, signs=key == signs) for key in found]
    emit(told, as_json=as_json, text=lambda: "\n".join(map(_line, told)) or "No key yet; `fhir-bridge keys generate` makes one.")


def _told(key: Key, *, signs: bool) -> dict[str, Any]:
    told = {"kid": key.kid, "algorithm": key.algorithm, "signs": signs, "signs_from": key.signs_from.isoformat()}
    return told | ({"published_until": key.until.isoformat()} if key.until else {})


def _line(told: dict[str, Any]) -> str:
    state = "signs now" if told["signs"] else f"signs from {told['signs_from']}"
    if "published_until" in told:
        state = f"{'signs now, ' if told['signs'] else ''}published until {told['published_until']}"
    return f"{told['kid']}  {told['algorithm']}  {state}"

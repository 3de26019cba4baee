"""`fhir-bridge sandbox serve`: a hospital in a box, for trying things out without a hospital."""

import threading
from contextlib import nullcontext
from pathlib import Path

import click

from fhir_bridge.cli.output import say
from fhir_bridge.cli.worker import run_until_stopped
from fhir_bridge.sandbox import token
from fhir_bridge.sandbox.faults import Faults, Wsgi, read_file
from fhir_bridge.sandbox.profile import agreed, load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store
from fhir_bridge.sandbox.subscriptions import notifying

LIKE = ("hapi", "epic", "oracle", "athena")


@click.group("sandbox")
def command() -> None:
    """Run a hospital in a box."""


@command.command("serve")
@click.option("--like", type=click.Choice(LIKE), default="hapi", show_default=True, help="Which server it behaves like.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 takes a free one.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Keep what it holds in this SQLite file, not only in memory.")
@click.option(
    "--faults",
    "script",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fail as this JSON list says; more can be posted to /_faults.",
)
@click.option("--subscriptions", is_flag=True, help="Tell whoever subscribed of each change (R4 rest-hook).")
@click.option("--jwks", metavar="URL", help="Ask for SMART sign-in: where the client's public keys are.")
@click.option("--client", default="fhir-bridge", show_default=True, help="With --jwks: the client that may sign in.")
@click.option("--scope", default="system/*.cruds", show_default=True, help="With --jwks: the scopes it may have.")
def serve(like: str, port: int, file: Path | None, script: Path | None, subscriptions: bool, **sign_in: str) -> None:
    """Serve FHIR R4 on loopback until stopped; prints its base address."""
    stop = threading.Event()
    store = Store(file)
    if not store.log:
        store.hold(agreed(like).holds)
    twin = create_app(load(like), store=store)
    if sign_in["jwks"]:
        token.require_sign_in(twin, _desk(**sign_in))
    app: Wsgi = twin
    if script:
        app = Faults(app, script=read_file(script))
    with running(app, port=port) as server, notifying(store) if subscriptions else nullcontext():
        click.echo(server.base_url)
        say(f"A hospital like {like} answers there; Ctrl-C ends it")
        run_until_stopped(stop.wait, stop=stop.set)
    store.close()


def _desk(*, jwks: str, client: str, scope: str) -> token.Desk:
    return token.Desk(token.Client(client, token.at(jwks), frozenset(scope.split())))

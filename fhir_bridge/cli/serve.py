"""`fhir-bridge serve`: the web doors, under gunicorn where it is installed, else under Werkzeug's own threaded server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import say
from fhir_bridge.cli.worker import run_until_stopped
from fhir_bridge.settings import Settings

# A worker finishes the call it is in (60 s at most) before it goes.
GRACEFUL_SECONDS = 75


@click.command("serve")
@click.option("--host", help="Address to listen on.  [default: FHIR_BRIDGE_HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: FHIR_BRIDGE_PORT or 8080]")
@click.option("--with-worker", is_flag=True, help="Run a delivering worker beside the server, and stop it with it.")
@click.option("--with-scheduler", is_flag=True, help="Run a scheduler beside the server, and stop it with it.")
def command(host: str | None, port: int | None, with_worker: bool, with_scheduler: bool) -> None:
    """Serve the clinic's API over HTTP until stopped."""
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    host, port = host or settings.host, settings.port if port is None else port
    if not settings.hospitals:
        say("No hospital is configured: what is accepted is kept, and waits. Set FHIR_BRIDGE_HOSPITAL or FHIR_BRIDGE_CONFIG.")
    with _beside("worker", wanted=with_worker), _beside("scheduler", wanted=with_scheduler):
        _serve(lambda: _app(settings), host=host, port=port, workers=settings.web_workers)


def _app(settings: Settings) -> Any:
    from fhir_bridge.web import create_app

    return create_app(bootstrap.staying(settings))


def _serve(make_app: Callable[[], Any], *, host: str, port: int, workers: int) -> None:
    from fhir_bridge.web.gunicorn import options

    try:
        from gunicorn.app.base import BaseApplication
    except ImportError:
        _serve_with_werkzeug(make_app, host=host, port=port)
        return

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
        def load_config(self) -> None:
            for name, value in options(host=host, port=port, workers=workers).items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return make_app()

    say(f"Serving on http://{host}:{port}")
    Application().run()


def _serve_with_werkzeug(make_app: Callable[[], Any], *, host: str, port: int) -> None:
    from werkzeug.serving import make_server

    server = make_server(host, port, make_app(), threaded=True)
    say(f"Serving on http://{host}:{server.server_port} (gunicorn is not installed: one process)")
    run_until_stopped(server.serve_forever, stop=server.shutdown)


@contextmanager
def _beside(command: str, *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "fhir_bridge", command])  # noqa: S603  # ourselves, no argument from outside
    try:
        yield
    finally:
        process.terminate()
        process.wait(GRACEFUL_SECONDS)

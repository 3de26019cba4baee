"""`fhir-bridge scheduler`: runs what is scheduled until it is told to stop."""

import threading

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import say
from fhir_bridge.cli.worker import run_until_stopped
from fhir_bridge.settings import Settings
from fhir_bridge.sync.schedules.service import Scheduler


@click.command("scheduler")
def command() -> None:
    """Run what is scheduled until stopped (SIGTERM or Ctrl-C): the delivery or page in hand is finished. Any number may run."""
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    stop = threading.Event()
    say("Scheduler started")
    run_until_stopped(lambda: Scheduler(bootstrap.bridge(settings), tell=say).run(stop), stop=stop.set)
    say("Scheduler stopped")

"""`fhir-bridge sync`: everything that is due now, once; for cron and for people."""

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, say
from fhir_bridge.settings import Settings
from fhir_bridge.sync import status
from fhir_bridge.sync.worker import Worker


@click.command("sync")
@click.option("--push", is_flag=True, help="Deliver what was accepted (the only direction there is so far).")
@json_option
def command(push: bool, as_json: bool) -> None:
    """Deliver everything that is due now, once, and print how it stands."""
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    bridge = bootstrap.bridge(settings)
    lanes = Worker(bridge).drain()
    say(f"worked on {lanes} patients' queues")
    overview = status.overview(bridge)
    still = sum(count for hospital in overview["hospitals"] for count in hospital["open"].values())
    emit(
        {"lanes": lanes, **overview},
        as_json=as_json,
        text=lambda: f"{still} deliveries are still open" if still else "everything is delivered",
    )

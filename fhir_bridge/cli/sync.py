"""`fhir-bridge sync`: everything that is due now, once; for cron and for people. The same runs and history as the scheduler's."""

import getpass
import threading
from typing import Any

import click

from fhir_bridge.cli import dry_run as dry_runs
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, say
from fhir_bridge.cli.progress import progress
from fhir_bridge.cli.schedule_words import run_data, run_line
from fhir_bridge.cli.worker import run_until_stopped
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store.schedule_runs import Busy, Order, RunLost
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pull import thaw as thaw_type
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Limits, Tell
from fhir_bridge.sync.schedules.works import WORKS


@click.command("sync")
@click.option("--push", is_flag=True, help="Deliver what was accepted.  [default: both]")
@click.option("--pull", is_flag=True, help="Fetch what the hospitals changed.  [default: both]")
@click.option("--hospital", "hospitals", multiple=True, metavar="NAME", help="At this hospital only; may be said again.  [default: all]")
@click.option("--site", help="Of this site only.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Say what would be done; send and store nothing.")
@click.option("--thaw", nargs=2, metavar="HOSPITAL TYPE", help="Only let a frozen type be read again: a person has looked.")
@click.option("--reason", default="", help="With --thaw: what was found; kept in the audit trail.")
@json_option
def command(
    push: bool,
    pull: bool,
    hospitals: tuple[str, ...],
    site: str | None,
    dry_run: bool,
    thaw: tuple[str, str] | None,
    reason: str,
    as_json: bool,
) -> None:
    """Do everything that is due now, once, and print how it went.

    Ends with 1 when a hospital failed, when another run does the same right now, or when one was taken for dead.
    """
    if thaw:
        _thaw(*thaw, site=site or "default", reason=reason, as_json=as_json)
        return
    bridge = opened.bridge(site)
    orders = _orders(bridge, "both" if push == pull else "push" if push else "pull", hospitals, site)
    if not orders:
        say("No hospital is configured; what is accepted is kept and waits.")
    if dry_run:
        dry_runs.tell(bridge, orders, as_json=as_json)
        return
    results: list[dict[str, Any]] = []
    stop = threading.Event()
    with progress() as tell:
        run_until_stopped(lambda: results.extend(_run(bridge, order, tell, stop) for order in orders), stop=stop.set)
    emit({"runs": results}, as_json=as_json, text=lambda: "\n".join(map(run_line, results)) or "nothing to do")
    if any(result["outcome"] not in ("done", "stopped") for result in results):
        raise click.exceptions.Exit(1)


def _thaw(hospital: str, type: str, *, site: str, reason: str, as_json: bool) -> None:
    thaw_type(opened.bridge(site), tenant=site, hospital=hospital, type=type, who=getpass.getuser(), why=reason)
    emit({"hospital": hospital, "type": type, "frozen": False}, as_json=as_json, text=lambda: f"{type} of {hospital} is read again")


def _orders(bridge: Bridge, what: str, hospitals: tuple[str, ...], site: str | None) -> list[Order]:
    """A run for each site. Raises `Refused` for a hospital nobody knows."""
    sites = [each for each in bridge.sites.values() if site in (None, each.name)]
    known = {name for each in sites for name in each.hospitals}
    if unknown := sorted(set(hospitals) - known):
        raise Refused([Fault("--hospital", f"no hospital {', '.join(unknown)} is set; known: {', '.join(sorted(known)) or 'none'}")])
    wanted = [(each.name, tuple(name for name in each.hospitals if not hospitals or name in hospitals)) for each in sites]
    return [Order(name, what, at, actor=getpass.getuser()) for name, at in wanted if at]


def _run(bridge: Bridge, order: Order, tell: Tell, stop: threading.Event) -> dict[str, Any]:
    """The run as it ended, or why there was none."""
    try:
        begun = run.begin(bridge, order)
        return run_data(run.carry_out(bridge, begun, WORKS, limits=Limits(), tell=tell, stopping=stop.is_set))
    except (Busy, RunLost) as error:
        return {"site": order.tenant, "what": order.what, "outcome": "busy" if isinstance(error, Busy) else "broken-off", "why": str(error)}

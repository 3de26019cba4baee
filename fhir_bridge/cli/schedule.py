"""`fhir-bridge schedule`: when syncs run by themselves, and what became of each run. `fhir-bridge scheduler` runs them."""

import getpass
import threading

import click

from fhir_bridge.cli import dry_run as dry_runs
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, say, site_option
from fhir_bridge.cli.progress import progress
from fhir_bridge.cli.schedule_words import run_data, run_line, schedule_data, schedule_line
from fhir_bridge.cli.worker import run_until_stopped
from fhir_bridge.store import schedule_runs
from fhir_bridge.store.schedule_runs import Order, Run
from fhir_bridge.sync import schedule
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedule import Named, Wish
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Limits
from fhir_bridge.sync.schedules.works import WORKS


@click.group("schedule")
def command() -> None:
    """Say when syncs run by themselves, and see what became of each run."""


@command.command("add")
@click.argument("name")
@click.option("--what", type=click.Choice(schedule.WHAT), default="both", show_default=True, help="What runs.")
@click.option("--cron", required=True, help='When, in the site\'s time zone: "30 2 * * *" is every day at 02:30.')
@click.option("--hospital", "hospitals", multiple=True, metavar="NAME", help="At this hospital only; may be said again.  [default: all]")
@click.option(
    "--older-than", type=click.IntRange(1), metavar="DAYS", help=f"The archive takes what is older.  [default: {schedule.OLDER_THAN}]"
)
@site_option
@json_option
def add(name: str, what: str, cron: str, hospitals: tuple[str, ...], older_than: int | None, site: str, as_json: bool) -> None:
    """Have syncs run by themselves from now on, as NAME."""
    bridge = opened.bridge(site)
    made = schedule.add(bridge, Named(site, name), Wish(what, cron, hospitals or None, older_than), who=getpass.getuser())
    told = schedule_data(bridge, made, None)
    emit(told, as_json=as_json, text=lambda: schedule_line(told))


@command.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Print every schedule: what it runs, when next, and how its last run went."""
    bridge = opened.bridge()
    told = [schedule_data(bridge, each, last) for each, last in schedule.listing(bridge)]
    emit(told, as_json=as_json, text=lambda: "\n".join(map(schedule_line, told)) or "Nothing is scheduled.")


@command.command("run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would be done; send and store nothing.")
@site_option
@json_option
def run_now(name: str, dry_run: bool, site: str, as_json: bool) -> None:
    """Run NAME now, once more than it is scheduled, paused or not. Ends with 1 when a hospital failed."""
    bridge = opened.bridge(site)
    found = schedule.found(bridge, Named(site, name))
    order = schedule.order_of(bridge, found, actor=getpass.getuser())
    if dry_run:
        dry_runs.tell(bridge, [order], as_json=as_json, older_than=found.older_than)
        return
    told = run_data(_done(bridge, order, Limits(older_than=found.older_than)))
    emit(told, as_json=as_json, text=lambda: run_line(told))
    if told["outcome"] == "failed":
        raise click.exceptions.Exit(1)


def _done(bridge: Bridge, order: Order, limits: Limits) -> Run:
    begun, ended, stop = run.begin(bridge, order), list[Run](), threading.Event()
    with progress() as tell:
        work = lambda: ended.append(run.carry_out(bridge, begun, WORKS, limits=limits, tell=tell, stopping=stop.is_set))  # noqa: E731
        run_until_stopped(work, stop=stop.set)
    return ended[0]


@command.command("pause")
@click.argument("name")
@click.option("--reason", required=True, help="Why; shown in the list and kept in the audit trail.")
@site_option
@json_option
def pause(name: str, reason: str, site: str, as_json: bool) -> None:
    """Let NAME not run until it is resumed."""
    schedule.pause(opened.bridge(site), Named(site, name), who=getpass.getuser(), why=reason)
    emit({"site": site, "name": name, "paused": True}, as_json=as_json, text=lambda: f"{name} is paused")


@command.command("resume")
@click.argument("name")
@site_option
@json_option
def resume(name: str, site: str, as_json: bool) -> None:
    """Let NAME run again from now on; what passed meanwhile is not caught up."""
    bridge = opened.bridge(site)
    told = schedule_data(bridge, schedule.resume(bridge, Named(site, name), who=getpass.getuser()), None)
    emit(told, as_json=as_json, text=lambda: schedule_line(told))


@command.command("remove")
@click.argument("name")
@site_option
@json_option
def remove(name: str, site: str, as_json: bool) -> None:
    """Let NAME never run again; its history stays."""
    schedule.remove(opened.bridge(site), Named(site, name), who=getpass.getuser())
    emit({"site": site, "name": name, "removed": True}, as_json=as_json, text=lambda: f"{name} is removed")


@command.command("history")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs.")
@click.option("--before", type=int, metavar="RUN", help="Those before this run: the last one of the page before.")
@site_option
@json_option
def history(name: str | None, limit: int, before: int | None, site: str, as_json: bool) -> None:
    """Print the last runs, the newest first: of NAME, or of all schedules and those begun by hand. 90 days are kept."""
    with opened.bridge(site).store.reading() as tx:
        told = [run_data(each) for each in schedule_runs.history(tx, site, schedule=name, before=before, limit=limit)]
    emit(told, as_json=as_json, text=lambda: "\n".join(map(run_line, told)) or "Nothing has run.")
    if len(told) == limit:
        say(f"older ones: --before {told[-1]['run']}")

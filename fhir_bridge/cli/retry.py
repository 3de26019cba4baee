"""`fhir-bridge retry`: stopped deliveries run again."""

import getpass
from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit
from fhir_bridge.cli.selection import chosen, selection
from fhir_bridge.sync.delivery import stopped


@click.command("retry")
@selection
@click.option("--reason", default="", help="Why it will go through now; kept in the audit trail.")
def command(delivery: str | None, reason: str, as_json: bool, **which: Any) -> None:
    """Try the stopped DELIVERY (its id, as `fhir-bridge status` prints it) again, or many; started again it does the rest."""
    wanted = chosen(delivery, **which)
    bridge, who = opened.bridge(wanted.which.tenant), getpass.getuser()
    if wanted.delivery:
        stopped.retry(bridge, tenant=wanted.which.tenant, id=wanted.delivery, who=who, why=reason)
        emit({"id": delivery, "state": "pending"}, as_json=as_json, text=lambda: f"{delivery} is on its way again")
        return
    count = stopped.retry_many(bridge, wanted.which, who=who, why=reason)
    left = f"; {count.left} left alone, because trying again could make a second record: see their cards" if count.left else ""
    emit({"retried": count.done, "left": count.left}, as_json=as_json, text=lambda: f"{count.done} are on their way again{left}")

"""Which stopped deliveries a command is about: one by its id, or many by what they have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from fhir_bridge.cli.output import json_option, site_option
from fhir_bridge.sync.delivery.stopped import Which


@dataclass(frozen=True, slots=True)
class Selection:
    """Either `delivery` or `which`."""

    delivery: str | None
    which: Which


def selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options; `chosen` makes a `Selection` of them."""
    for option in (
        json_option,
        site_option,
        click.option("--reason-word", help="Those that stopped for this reason, as `status` prints it: refused, duplicates …"),
        click.option("--hospital", help="Those to this hospital."),
        click.option("--all", "everything", is_flag=True, help="All of the site."),
        click.argument("delivery", required=False),
    ):
        command = option(command)
    return command


def chosen(delivery: str | None, *, everything: bool, hospital: str | None, reason_word: str | None, site: str) -> Selection:
    """Raises a usage error unless exactly one delivery, or a set, is named."""
    several = everything or hospital is not None or reason_word is not None
    if (delivery is None) != several:
        raise click.UsageError("name one DELIVERY, or several by --all, --hospital or --reason-word")
    return Selection(delivery, Which(site, hospital, reason_word))

"""What runs would do, printed and not done; for every command that has `--dry-run`."""

from collections.abc import Sequence

import click

from fhir_bridge.cli.output import emit
from fhir_bridge.cli.progress import progress
from fhir_bridge.store.schedule_runs import Order
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedules import preview, preview_words


def tell(bridge: Bridge, orders: Sequence[Order], *, as_json: bool, older_than: int | None = None) -> None:
    """Print what the run of each order would do; ends with 1 when some part of it would not be done."""
    with progress() as say:
        parts = [
            part | {"site": order.tenant} for order in orders for part in preview.preview(bridge, order, older_than=older_than, tell=say)
        ]
    emit({"parts": parts}, as_json=as_json, text=lambda: "\n".join(line for part in parts for line in preview_words.lines(part)))
    if any("why" in part for part in parts):
        raise click.exceptions.Exit(1)

"""`fhir-bridge status`: what waits, what is stuck and why; or how far one record came."""

from typing import Any

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync import status


@click.command("status")
@click.argument("record", required=False)
@click.option("--kept", is_flag=True, help="Only what a hospital changed or dropped of RECORD.")
@site_option
@json_option
def command(record: str | None, kept: bool, site: str, as_json: bool) -> None:
    """Print what waits and what is stuck; with RECORD (a session's id), how far it came and what each hospital kept."""
    bridge = bootstrap.bridge(Settings.from_environ())
    if record is None:
        overview = status.overview(bridge)
        emit(overview, as_json=as_json, text=lambda: _overview(overview))
    elif kept:
        emit(status.not_kept(bridge, tenant=site, kind="session", id=record), as_json=as_json)
    else:
        if (found := status.of_record(bridge, tenant=site, kind="session", id=record)) is None:
            raise Refused([Fault("record", "the site has no session of this id")])
        emit(found, as_json=as_json)


def _overview(overview: dict[str, Any]) -> str:
    lines = [_hospital(hospital) for hospital in overview["hospitals"]] or [
        "No hospital is configured; what is accepted is kept and waits."
    ]
    for lane in overview["blocked"]:
        lines.append(f"  {lane['record']} to {lane['hospital']} stands still since {lane['since']}: {lane['cause']}, {lane['reason']}")
    for dead in overview["dead"]:
        card = dead["card"]
        lines.append(f"  stopped: {dead['id']} ({dead['record']}): {card['title']}. {card['do']}")
    return "\n".join(lines)


def _hospital(hospital: dict[str, Any]) -> str:
    waiting = ", ".join(f"{count} {state}" for state, count in sorted(hospital["open"].items())) or "nothing waits"
    out = f"; out since {hospital['out_since']}: {hospital['why']}" if "out_since" in hospital else ""
    paused = f"; paused: {hospital['paused']['why']}" if "paused" in hospital else ""
    missing = "" if hospital["configured"] else "; not configured any more"
    return f"{hospital['tenant']} → {hospital['hospital']}: {waiting}{out}{paused}{missing}"

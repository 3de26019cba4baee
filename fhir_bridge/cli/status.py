"""`fhir-bridge status`: what waits, what is stuck and why; or how far one record came."""

from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sync import status


@click.command("status")
@click.argument("record", required=False)
@click.option("--kept", is_flag=True, help="Only what a hospital changed, dropped or does not show: of RECORD, or of every record.")
@site_option
@json_option
def command(record: str | None, kept: bool, site: str, as_json: bool) -> None:
    """Print what waits and what is stuck; with RECORD (a session's id), how far it came and what each hospital kept."""
    bridge = opened.bridge(site if kept or record else None)
    if kept:
        of_one = status.not_kept(bridge, tenant=site, kind="session", id=record) if record else None
        found_kept = list(status.all_not_kept(bridge, tenant=site)) if of_one is None else of_one
        emit(found_kept, as_json=as_json, text=lambda: "\n".join(map(_not_kept, found_kept)) or "Everything that was sent was kept.")
    elif record is None:
        overview = status.overview(bridge)
        emit(overview, as_json=as_json, text=lambda: _overview(overview))
    else:
        if (found := status.of_record(bridge, tenant=site, kind="session", id=record)) is None:
            raise Refused([Fault("record", "the site has no session of this id")])
        emit(found, as_json=as_json)


def _overview(overview: dict[str, Any]) -> str:
    lines = [_hospital(hospital) for hospital in overview["hospitals"]] or [
        "No hospital is configured; what is accepted is kept and waits."
    ]
    lines += [_lane(lane) for lane in overview["blocked"]]
    lines += [line for dead in overview["dead"] for line in _card(dead)]
    return "\n".join(lines)


def _lane(lane: dict[str, Any]) -> str:
    behind = f", {lane['behind']} more behind it" if lane["behind"] else ""
    return (
        f"  {lane['record']} to {lane['hospital']} stands still for {_span(lane['age_seconds'])}: {lane['cause']}, {lane['reason']}{behind}"
    )


def _card(dead: dict[str, Any]) -> list[str]:
    """What happened, who must act, whether trying again is safe, and the server's own words."""
    card = dead["card"]
    safe = "trying again is safe" if card["retry_safe"] else "trying again could make a second record"
    lines = [
        f"  stopped: {dead['id']}",
        f"    {dead['record']} version {dead['version']} to {dead['hospital']}, reason {dead['reason']}: {card['title']}",
        f"    {card['happened']}",
        f"    The {card['who']} must act: {card['do']} ({safe})",
    ]
    return lines + [f"    the server said: {words}" for words in card["server_said"]]


def _not_kept(one: dict[str, Any]) -> str:
    if not one["visible"]:
        return f"{one['hospital']}  {one['ours']}: not visible there yet"
    parts = [f"{name} {', '.join(one[name])}" for name in ("changed", "dropped", "left_out") if one[name]]
    return f"{one['hospital']}  {one['ours']} ({one['theirs']}): {'; '.join(parts)}"


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _hospital(hospital: dict[str, Any]) -> str:
    waiting = ", ".join(f"{count} {state}" for state, count in sorted(hospital["open"].items())) or "nothing waits"
    out = f"; out since {hospital['out_since']}: {hospital['why']}" if "out_since" in hospital else ""
    paused = f"; paused: {hospital['paused']['why']}" if "paused" in hospital else ""
    changed = "".join(f"\n    {line}" for line in hospital.get("statement", {}).get("changes", ()))
    changed = f"\n  its CapabilityStatement changed at {hospital['statement']['changed_at']}:{changed}" if changed else ""
    changed += "".join(f"\n  not read since {one['since']}: {one['why']}" for one in hospital.get("frozen", ()))
    missing = "" if hospital["configured"] else "; not configured any more"
    return f"{hospital['tenant']} → {hospital['hospital']}: {waiting}{out}{paused}{missing}{changed}"

"""`fhir-bridge reconcile`: everything we believe against everything the hospitals hold, and what to do about the difference."""

import getpass
from dataclasses import asdict
from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.cli.progress import progress
from fhir_bridge.sync.reconcile import Reconciled, reconcile


@click.command("reconcile")
@click.option("--hospital", "hospitals", multiple=True, metavar="NAME", help="This hospital only; may be said again.  [default: all]")
@click.option("--repair", is_flag=True, help="Apply what is found, as a pull would have.")
@site_option
@json_option
def command(hospitals: tuple[str, ...], repair: bool, site: str, as_json: bool) -> None:
    """Pull, then compare every resource with what is known of it, and print what is missing there, extra there or different.

    Ends with 1 when a hospital did not answer everything, or the pull had missed something.
    """
    bridge = opened.bridge(site)
    found = []
    with progress() as tell:
        for name in hospitals or bridge.sites[site].hospitals:
            found.append(reconcile(bridge, tenant=site, hospital=name, who=getpass.getuser(), repair=repair, tell=tell))
    emit({"hospitals": [_data(one) for one in found]}, as_json=as_json, text=lambda: "\n".join(map(_text, found)) or "No hospital.")
    if any(not one.whole or one.pull_missed for one in found):
        raise click.exceptions.Exit(1)


def _data(one: Reconciled) -> dict[str, Any]:
    return {
        "hospital": one.hospital, "whole": one.whole, "counts": dict(one.counts), "pull_missed": one.pull_missed,
        "finds": [asdict(find) for find in one.finds], "repaired": dict(one.repaired), "notes": list(one.notes),
    }  # fmt: skip


def _text(one: Reconciled) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in one.counts.items() if count) or "nothing to compare"
    repaired = ", ".join(f"{count} {word}" for word, count in one.repaired.items())
    lines = [f"{one.hospital}: {counts}; the pull had missed {one.pull_missed}", *(f"  note: {note}" for note in one.notes)]
    lines += [f"  {find.what}: {find.theirs} ({find.ours}){', missed by the pull' if find.missed else ''}" for find in one.finds]
    return "\n".join([*lines, *([f"  repaired: {repaired}"] if repaired else [])])

"""`fhir-bridge rehearse`: a day's traffic against a hospital that fails in every way, and whether anything was lost or doubled."""

import logging
import secrets
from typing import Any

import click

from fhir_bridge.cli.output import emit, json_option, say
from fhir_bridge.cli.rehearsal import NOT_PREVENTABLE, Rehearsal, rehearsing
from fhir_bridge.cli.sandbox import LIKE
from fhir_bridge.errors import BridgeError
from fhir_bridge.sandbox.ledger import Ledger


@click.command("rehearse")
@click.option("--like", type=click.Choice(LIKE), default="hapi", show_default=True, help="Which server the hospital behaves like.")
@click.option("--minutes", type=click.FloatRange(0.1, 1440), default=1.0, show_default=True, help="How long the day takes.")
@click.option("--seed", type=int, help="Repeat a rehearsal: its faults come in the same order.  [default: another each time]")
@json_option
def command(like: str, minutes: float, seed: int | None, as_json: bool) -> None:
    """Rehearse a day on this machine alone: invented sessions, a hospital in a box, and every fault it knows. Ends by itself."""
    logging.disable(logging.CRITICAL)  # every fault would be told as it happens; the ledger tells what came of them
    seed = secrets.randbelow(10**6) if seed is None else seed
    say(f"A day of {minutes:g} minutes at a hospital like {like}, seed {seed}")
    with rehearsing(like, minutes=minutes, seed=seed) as rehearsal:
        ledger = rehearsal.run(minutes)
        told = _told(rehearsal, ledger, seed)
    emit(told, as_json=as_json, text=lambda: _words(told))
    if not ledger.exact:
        raise BridgeError("something was lost, doubled or written in the wrong order")


def _told(rehearsal: Rehearsal, ledger: Ledger, seed: int) -> dict[str, Any]:
    wrong = {name: list(getattr(ledger, name)) for name in ("lost", "duplicated", "swapped")}
    return {
        "like": rehearsal.like,
        "seed": seed,
        "accepted": ledger.accepted,
        "held": ledger.held,
        "stopped": len(ledger.stopped),
        **{name: len(found) for name, found in wrong.items()},
        "reasons": dict(ledger.stopped),
        "wrong": {name: found for name, found in wrong.items() if found},
        "faults": dict(sorted({**rehearsal.faults.spoilt, **rehearsal.network.met}.items())),
        "left_out": list(NOT_PREVENTABLE[rehearsal.like]),
    }


def _words(told: dict[str, Any]) -> str:
    lines = [f"{name:<11}{told[name]:>5}" for name in ("accepted", "held", "stopped", "lost", "duplicated", "swapped")]
    lines += [f"  stopped for a person: {record}, {reason}" for record, reason in told["reasons"].items()]
    lines += [f"  {name}: {word}" for name, found in told["wrong"].items() for word in found]
    lines.append(f"faults met: {', '.join(f'{kind} {count}' for kind, count in told['faults'].items())}")
    lines += [f"left out, because no client can prevent what it does at such a server: {kind}" for kind in told["left_out"]]
    return "\n".join(lines)

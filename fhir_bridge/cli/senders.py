"""What `fhir-bridge clients add` may be told of a hospital's client: which hospital it is, and where it may be called."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import senders
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.senders import Sender

F = TypeVar("F", bound=Callable[..., Any])


def sender_options(command: F) -> F:
    """`--hospital`, `--origin`, `--messages-to`."""
    for option in (
        click.option("--messages-to", help="The $process-message address, at --origin, that is told of each step by a message."),
        click.option("--origin", help="https://HOST[:PORT] at which a Task's order may be fetched."),
        click.option("--hospital", help="The configured hospital it is: its referrals go to no other."),
    ):
        command = option(command)
    return command


def keep(tx: Transaction, sender: Sender, *, kind: str, known: Sequence[str]) -> None:
    """Remember `sender`, if it says anything; raises `Refused` for what cannot be. `known` are the site's hospitals."""
    said = {"--hospital": sender.hospital, "--origin": sender.origin, "--messages-to": sender.messages_to}
    if not any(said.values()):
        return
    faults = [Fault(option, "is for --kind hospital; leave it out") for option, value in said.items() if value and kind != "hospital"]
    if sender.hospital and sender.hospital not in known:
        faults.append(Fault("--hospital", f"must be a hospital of the site; it has {', '.join(known) or 'none'}"))
    if sender.origin and not _is_origin(sender.origin):
        faults.append(Fault("--origin", 'must be like "https://fhir.hospital.example": no path, no query'))
    if sender.messages_to and not within(sender.messages_to, sender.origin):
        faults.append(Fault("--messages-to", "must be an address at --origin"))
    if faults:
        raise Refused(faults)
    senders.put(tx, sender)


def within(url: str, origin: str | None) -> bool:
    """Whether `url` is at `origin`."""
    return bool(origin) and url.startswith(f"{origin}/")


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" and not parts.username

"""One delivery in hand, and how its run can end. The ends are values; `deliver` writes them down in one place."""

from dataclasses import dataclass

from fhir_bridge.errors import Fault
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.store.outbox import Delivery, Lease
from fhir_bridge.sync.bridge import Bridge, Hospital, Site


@dataclass(frozen=True, slots=True)
class Job:
    """A leased delivery, the site it comes from, and the hospital it goes to."""

    bridge: Bridge
    lease: Lease
    delivery: Delivery
    site: Site
    hospital: Hospital
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class Done:
    """The hospital has the whole record.

    `detail` tells what went another way than by its own resource; `unchanged` are our keys of what was there already, `left` those
    of the patients it was of before and is no more.
    """

    detail: dict[str, list[dict[str, str]]]
    unchanged: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Later again: after `after` seconds at least.

    `doubt`: the last call may have been carried out, so look before sending; `looks` is how often we looked and found nothing.
    `told` is the server's 5xx and a digest of its words (`sync.delivery.repeats`).
    """

    reason: str
    after: float | None = None
    counted: bool = True
    doubt: bool = False
    looks: int = 0
    told: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Outage(Wait):
    """A wait that is the hospital's fault: its breaker hears of it, the delivery does not count it."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """It will not go through as it is: a person decides. `kind` is a word of `hospital.cards`."""

    kind: str
    faults: tuple[Fault, ...] = ()
    status: int = 0


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer version of the record took its place; there is nothing to settle."""


End = Done | Wait | Stopped | Overtaken

"""What every use case is handed: the store, the sites, the hospitals, and where time, chance and ids come from.

Built once by `fhir_bridge.bootstrap`; the use cases read no setting, no clock and no random source of their own.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fhir_bridge.clinic.records import OURS, Records
from fhir_bridge.hospital.capabilities import Capabilities, SiteFile
from fhir_bridge.hospital.client import Client
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.mapping import Mapping as TwoWayMapping
from fhir_bridge.store.database import Store
from fhir_bridge.sync.keys import Folder

if TYPE_CHECKING:  # its library is there where PostgreSQL is used
    from fhir_bridge.store.dispatch import Dispatch


@dataclass(frozen=True, slots=True)
class Site:
    """One clinic site (tenant): how its naive times are completed, how its records map, who receives them, and what they may hold.

    `proved` remembers the shapes of record that this process mapped and found fit for R4, `familiar` the likenesses of referral
    messages that it read, by their hash.
    """

    name: str
    zone: ZoneInfo | None
    mapping: TwoWayMapping
    hospitals: tuple[str, ...]
    records: Records = OURS
    proved: set[int] = field(default_factory=set, compare=False, repr=False)
    familiar: set[int] = field(default_factory=set, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital's server: the way to it, and what its CapabilityStatement does not say.

    `known` remembers, by tenant, the capabilities this process read and when, so that a delivery need not read them again.
    """

    name: str
    client: Client
    site_file: SiteFile
    known: dict[str, tuple[datetime, Capabilities]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The whole application, as the use cases see it.

    `deadline_seconds` bounds one call to a hospital, `keys` sign in to them. `dispatch` calls workers on any host; without it a
    worker looks for work itself, every `poll_interval_seconds`. `outside` is the way to addresses that strangers named,
    `public_url` our own address as others call it, without a path; `proxies` how many stand before us. An address
    that is refused more than `refusals_per_minute` times (0: no limit) is told to wait.
    """

    store: Store
    sites: Mapping[str, Site]
    hospitals: Mapping[str, Hospital]
    clock: Callable[[], datetime]
    rng: random.Random
    new_id: Callable[[], str]
    audit_key: bytes = field(repr=False)
    lease_seconds: int = 180
    keys: Folder | None = None
    deadline_seconds: float = 60.0
    poll_interval_seconds: float = 0.2
    dispatch: "Dispatch | None" = None
    worker_threads: int = 4
    outside: Outside = field(default_factory=Outside)
    public_url: str = ""
    proxies: int = 0
    refusals_per_minute: int = 0

"""What a hospital changed comes back: each type is read by the best way its server offers, and applied page by page.

One puller for each (tenant, hospital, type), by a lease in the database. A type whose versions went back is frozen until a person
has looked; everything else that goes wrong ends the reading of one type, is said, and is taken up again by the next pull.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.store import audit, pulls
from fhir_bridge.store.database import StoreError, Unavailable
from fhir_bridge.store.pulls import Pull, PullLost
from fhir_bridge.sync.bridge import Bridge, Hospital
from fhir_bridge.sync.delivery.job import Outage
from fhir_bridge.sync.delivery.statement import capabilities
from fhir_bridge.sync.pulling import crawl, sweep
from fhir_bridge.sync.pulling.mode import TYPES, Mode, modes_of
from fhir_bridge.sync.pulling.run import OVERLAP, PAGE_SIZE, Run, Stop
from fhir_bridge.sync.pulling.run import Refused as NotThisWay

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of a pull. `counts` by what became of the entries; `ways` say for each type how it was read; `notes` are for a person.

    Counts: `entries` shown · `strangers` not ours · `known` seen before, our own writes among them · `older` states of a history ·
    `changed` and `gone`, which were applied: `applied` is what `apply_page` says of those · `missed` once, gone the second time ·
    `being written` by a delivery just now, `unsettled`: both are looked at again with the next pull.
    `whole`: every type was read to its end, or cannot be read at all.
    """

    hospital: str
    counts: dict[str, int]
    applied: dict[str, int]
    ways: dict[str, str]
    notes: tuple[str, ...] = ()
    whole: bool = True


def pull(
    bridge: Bridge,
    *,
    tenant: str,
    hospital: str,
    types: Sequence[str] | None = None,
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    seconds: float = HOUR,
    overlap: timedelta = OVERLAP,
    page_size: int = PAGE_SIZE,
) -> Pulled:
    """Read what changed at `hospital` and apply it; a `dry_run` reads and applies, and keeps nothing.

    Stops after `seconds`, or when `stopping` says so; the next pull goes on there. `overlap` is to be longer than the difference
    of the clocks and the hospital's longest transaction together. Raises `Refused` for a hospital or type nobody knows, and the
    store's errors.
    """
    place = _known(bridge, tenant, hospital)
    wanted = _types(types)
    found = _capabilities(bridge, tenant, place)
    if isinstance(found, str):
        return Pulled(hospital, {}, {}, {}, (found,), whole=False)
    run = Run(
        bridge, tenant, place, found, holder=bridge.new_id(), until=time.monotonic() + seconds,
        dry=dry_run, overlap=overlap, page_size=page_size, tell=tell, stopping=stopping,
    )  # fmt: skip
    whole = [_pull_type(run, type) for type in wanted]
    return Pulled(hospital, dict(run.counts), dict(run.applied), dict(run.ways), tuple(run.notes), all(whole))


def thaw(bridge: Bridge, *, tenant: str, hospital: str, type: str, who: str, why: str) -> None:
    """A person looked: the type is read again from the beginning, as the hospital shows it now. Raises `Refused`.

    What is sent to the hospital stays paused until it is resumed.
    """
    _known(bridge, tenant, hospital)
    with bridge.store.transaction() as tx:
        if not pulls.thaw(tx, tenant, hospital, type):
            raise Refused([Fault("type", "is not frozen at this hospital")])
        audit.write(
            tx, tenant=tenant, actor=who, action="thaw", subject=f"hospital/{hospital}",
            detail={"type": type, "why": why}, now=tx.now, key=bridge.audit_key,
        )  # fmt: skip


def _known(bridge: Bridge, tenant: str, hospital: str) -> Hospital:
    site = bridge.sites.get(tenant)
    if site is None or hospital not in site.hospitals or hospital not in bridge.hospitals:
        raise Refused([Fault("hospital", f"this site has none of that name; known: {', '.join(site.hospitals if site else ()) or 'none'}")])
    return bridge.hospitals[hospital]


def _types(types: Sequence[str] | None) -> Sequence[str]:
    if unknown := [type for type in types or () if type not in TYPES]:
        raise Refused([Fault("type", f"{', '.join(unknown)} is not pulled; known: {', '.join(TYPES)}")])
    return types or TYPES


def _capabilities(bridge: Bridge, tenant: str, hospital: Hospital) -> Capabilities | str:
    try:
        found = capabilities(bridge, tenant=tenant, hospital=hospital)
    except Refused as refused:
        return f"its CapabilityStatement is of no use: {refused.faults[0]}"
    return found.reason if isinstance(found, Outage) else found


def _pull_type(run: Run, type: str) -> bool:
    """Read one type by the best way that works; True when it was read to its end, or cannot be."""
    modes = modes_of(run.capabilities, type)
    pull = _leased(run, type)
    if pull is None:
        return False
    try:
        return any(_tried(run, pull, mode) for mode in modes)
    except (Stop, PullLost, Unavailable) as ended:
        run.notes.append(str(ended))
        return False
    finally:
        _release(run, pull)


def _tried(run: Run, pull: Pull, mode: Mode) -> bool:
    """Whether the server answers this way."""
    run.ways[pull.type] = mode.words
    try:
        match mode.name:
            case "history" | "window":
                crawl.changes(run, pull, mode.name)
            case "sweep" | "reads":
                sweep.again(run, pull, mode.name)
            case "none":
                run.notes.append(mode.words)
            case _:
                assert_never(mode.name)
    except NotThisWay as refused:
        run.note(str(refused))
        return False
    return True


def _leased(run: Run, type: str) -> Pull | None:
    """The right to read the type; None when it is frozen, or another puller reads it."""
    with run.bridge.store.transaction() as tx:
        row = pulls.of(tx, run.tenant, run.hospital.name, type)
        if row.frozen_at is None and not run.dry:
            taken = pulls.lease(tx, run.tenant, run.hospital.name, type, holder=run.holder, seconds=run.bridge.lease_seconds)
        else:
            taken = row
    if row.frozen_why is not None:
        run.notes.append(f"{type} is frozen and not read: {row.frozen_why}")
        return None
    if taken is None:
        run.notes.append(f"{type}: another puller reads it now")
    return taken


def _release(run: Run, pull: Pull) -> None:
    """Give the type back; where even that fails, its lease runs out."""
    if not run.dry:
        with suppress(StoreError), run.bridge.store.transaction() as tx:
            pulls.release(tx, pull)

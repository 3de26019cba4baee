"""What a hospital took and does not show yet is looked at again later, so that it is known what it kept.

Nothing is sent again for it: the hospital said that it has it. After `LOOKS` looks, about a day, the verdict stays "not visible".
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from fhir_bridge.hospital.parts import Link
from fhir_bridge.hospital.plan import plan
from fhir_bridge.hospital.reply import Entry
from fhir_bridge.store.outbox import Delivery
from fhir_bridge.sync.delivery import held, look
from fhir_bridge.sync.delivery.job import Job, Wait

LOOKS = 9
FIRST = timedelta(seconds=5)
GROWTH = 4
LONGEST = timedelta(hours=6)


def hidden(links: Mapping[str, Link]) -> list[str]:
    """Our keys of what the hospital has an id for and never showed."""
    return [key for key, link in links.items() if link.document is None]


def looked(job: Job, resources: Iterable[dict[str, Any]], links: dict[str, Link]) -> dict[str, Link]:
    """`links` with what the hospital shows by now of what it did not show before; that is stored with the verdict on it."""
    unseen = hidden(links)
    if not unseen:
        return links
    entries = [Entry(key, links[key].id, links[key].version, links[key].etag) for key in unseen]
    shown = [entry for entry in held.read_back(job, entries) if entry.document]
    # as they were sent: what the hospital's small print cut off is not something it dropped
    anew = plan(job.capabilities, resources, {key: link for key, link in links.items() if key not in unseen})
    writes = {write.key: write for step in anew.steps for write in step.writes}
    rows = [held.row(job, writes[entry.key], entry, known=held.known(links)) for entry in shown if entry.key in writes]
    with job.bridge.store.transaction() as tx:
        held.keep(tx, job, rows)
    return links | {entry.key: held.link_of(entry, sent=links[entry.key].sent) for entry in shown}


def look_later(delivery: Delivery) -> Wait | None:
    """The wait before the next look; None when there were enough."""
    looks = look.looks(delivery)
    if looks >= LOOKS:
        return None
    after = min(FIRST * GROWTH**looks, LONGEST)
    reason = "the hospital took it and does not show all of it yet; it is looked at again"
    return Wait(reason, after=after.total_seconds(), counted=False, looks=looks + 1)

"""What several records share (a patient, a plan, a hospital stay, a series' appointments) stands as the last accepted one says.

An older record that is planned again, because it was woken or tried again, would else take back what a newer one has written.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from fhir_bridge.hospital.parts import Link
from fhir_bridge.store import links as stored_links
from fhir_bridge.store.records import Stored
from fhir_bridge.sync.delivery.job import Job


def stands(
    job: Job, record: Stored, resources: Iterable[dict[str, Any]], links: Mapping[str, Link], *, alone: Collection[str] = ()
) -> dict[str, Link]:
    """`links` for the plan of `record`: what speaks for a record accepted later counts as sent as it is, so it is not written.

    Nor is what a person has yet to decide (`alone`). What the hospital does not hold has no link and is written, whoever speaks for it.
    """
    wanted = {key: one for one in resources if (key := f"{one['resourceType']}/{one['id']}") in links}
    if not wanted:
        return dict(links)
    with job.bridge.store.reading() as tx:
        later = stored_links.spoken_for_later(tx, record, hospital=job.delivery.hospital, ours=list(wanted))
    return {**links, **{key: replace(links[key], sent=wanted[key]) for key in wanted.keys() & {*later, *alone}}}

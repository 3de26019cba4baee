"""What a referral is called at the hospital it came from: its own Task is changed there, and nothing is made a second time.

Of the hospital's own Task only what the clinic says is written; its order and its patient are left as they are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital.entries import etag_of
from fhir_bridge.store import links
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.referrals.answers import Held
from fhir_bridge.sync.referrals.shape import ORDER, PATIENT, TASK

Resource = dict[str, Any]
#: what of the hospital's Task the clinic says
CLINICS = ("status", "statusReason", "businessStatus")


def apart(site: Site, documents: Iterable[Resource]) -> tuple[list[Resource], dict[str, Resource]]:
    """(the documents that are ours at the hospital, its own Task and order by our `Type/id`): its own carry no identifier of ours."""
    ours, theirs = [], {}
    system = f"{site.mapping.tables.site['system']}/"
    for one in documents:
        if one["resourceType"] in (TASK, ORDER) and not any(
            str(each.get("system")).startswith(system) for each in one.get("identifier", [])
        ):
            theirs[f"{one['resourceType']}/{one['id']}"] = one
        else:
            ours.append(one)
    return ours, theirs


def within(theirs: Mapping[str, Resource], resources: list[Resource], alone: frozenset[str]) -> tuple[list[Resource], frozenset[str]]:
    """(what is written where the hospital's own is, what is left alone): the clinic's part of its Task."""
    if not theirs:
        return resources, alone
    kept = [one for one in resources if one["resourceType"] in (TASK, ORDER, PATIENT)]  # the reason has its place in their order
    written = [_told(theirs[key], one) if (key := f"{one['resourceType']}/{one['id']}") in theirs else one for one in kept]
    return written, alone | {key for key in theirs if key.startswith(f"{ORDER}/")}


def _told(theirs: Resource, ours: Resource) -> Resource:
    if ours["resourceType"] != TASK:
        return theirs
    rest = {name: said for name, said in theirs.items() if name not in CLINICS}
    told = {name: ours[name] for name in CLINICS if name in ours}
    kinds = [one["type"] for one in ours.get("output", [])]
    output = [one for one in theirs.get("output", []) if one.get("type") not in kinds] + ours.get("output", [])
    return {**rest, **told, **({"output": output} if output else {})}


def adopt(tx: Transaction, tenant: str, *, hospital: str, referral: str, found: Held, theirs: Mapping[str, Resource]) -> None:
    """Remember that our resources of the referral are `theirs` (by type, as the hospital showed them); what is known stays as it is."""
    ours = {kind: f"{kind}/{one['id']}" for kind, one in found.resources.items() if kind in theirs}
    known = {one.ours for one in links.of_ours(tx, tenant, hospital, list(ours.values()))}
    fresh = [_link(tx, tenant, hospital, key, theirs[kind]) for kind, key in ours.items() if key not in known]
    links.put(tx, fresh, kind="referral", record_id=referral)


def _link(tx: Transaction, tenant: str, hospital: str, ours: str, shown: Resource) -> links.Link:
    version = str(shown.get("meta", {}).get("versionId", ""))
    return links.Link(
        tenant, hospital, ours, f"{shown['resourceType']}/{shown['id']}", version or None, etag_of(version) or None,
        None, documents.dumps(shown), None, tx.now,
    )  # fmt: skip

"""By what a sender may find a referral: read off its resources, kept in step with every version, whoever makes it."""

from datetime import datetime
from typing import Any

from fhir_bridge.store import referral_search
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.referral_search import Name
from fhir_bridge.store.referrals import Standing
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.referrals.answers import Held, held
from fhir_bridge.sync.referrals.shape import ORDER, PATIENT, TASK


def standing(tenant: str, client: str, record: dict[str, Any], found: Held, now: datetime) -> Standing:
    """Where the referral of `record` stands, sent by `client`, with the ids by which its resources are read."""
    referral = record["referral"]
    order, task, patient = (found.resources[kind]["id"] for kind in (ORDER, TASK, PATIENT))
    received = datetime.fromisoformat(referral["received_at"])
    return Standing(tenant, referral["id"], client, order, task, referral["status"], received, patient, _authored(record), now)


def names(found: Held) -> list[Name]:
    """What its resources are called."""
    return [
        Name(kind, one.get("system", ""), one["value"])
        for kind, resource in found.resources.items()
        for one in resource.get("identifier", [])
        if "value" in one
    ]


def follow(tx: Transaction, *, tenant: str, site: Site, record: dict[str, Any], now: datetime) -> None:
    """The referral is as `record` says from `now` on."""
    found, referral = held(site, record, now), record["referral"]
    referral_search.follow(
        tx, tenant, referral["id"], called=names(found), status=referral["status"], patient=found.resources[PATIENT]["id"],
        authored_at=_authored(record), now=now,
    )  # fmt: skip


def _authored(record: dict[str, Any]) -> datetime | None:
    said = record["referral"].get("requested_at")
    return datetime.fromisoformat(said) if said else None

"""To whom a record goes.

A referral goes only to the hospital it came from, where its sender names one, and so does a session that answers it: one hospital's
patient is not told to another. Where the sender wants messages, the referral's news goes to that address instead. While nobody has
said whose patient a referral is, it goes nowhere.
"""

from typing import Any

from fhir_bridge.store import matches, referrals, senders
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge

#: before a client's id: the name of its own address in lanes and deliveries, where a hospital's name stands otherwise
MESSAGES = "messages:"


def hospitals_of(bridge: Bridge, tx: Transaction, tenant: str, kind: str, record: dict[str, Any]) -> list[str]:
    """Who is told of `record`, by name."""
    every = list(bridge.sites[tenant].hospitals)
    named = record.get("referral", {}).get("id")
    match = matches.of(tx, tenant, named) if named else None
    if match is None:
        return every
    if kind == "referral":
        standing = referrals.standing(tx, tenant, match.referral)
        if match.verdict == "open":
            return []
        if standing and senders.of(tx, tenant, standing.client).messages_to:
            return [f"{MESSAGES}{standing.client}"]
    return [match.hospital] if match.hospital else every


def addresses_beside(tx: Transaction, tenant: str, hospital: str) -> list[str]:
    """The names in lanes of the senders' own addresses that belong to `hospital`, or to none: who works on its lanes works on these."""
    wanted = [one for one in senders.with_messages(tx, tenant) if one.hospital in (None, hospital)]
    return [f"{MESSAGES}{one.client}" for one in wanted]

"""To which hospitals a record goes.

A referral goes only to the hospital it came from, where its sender names one, and so does a session that answers it: one hospital's
patient is not told to another. While nobody has said whose patient a referral is, it goes nowhere.
"""

from typing import Any

from fhir_bridge.store import matches
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge


def hospitals_of(bridge: Bridge, tx: Transaction, tenant: str, kind: str, record: dict[str, Any]) -> list[str]:
    """Who is told of `record`, by name."""
    every = list(bridge.sites[tenant].hospitals)
    named = record.get("referral", {}).get("id")
    match = matches.of(tx, tenant, named) if named else None
    if match is None:
        return every
    if kind == "referral" and match.verdict == "open":
        return []
    return [match.hospital] if match.hospital else every

"""Pages of what we hold, as R4's searchset and history Bundles. Pure."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fhir_bridge.errors import Fault
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.sync.referrals.answers import Held
from fhir_bridge.sync.referrals.search import Page


def searchset(page: Page, base: str) -> dict[str, Any]:
    """The page with its `self` and `next`; what the search did not understand is told in an entry of its own."""
    query, place = page.query, f"{base}/{page.query.kind}"
    links = [{"relation": "self", "url": f"{place}?{urlencode(query.said)}" if query.said else place}]
    links += [{"relation": "next", "url": f"{place}?{urlencode({'_cursor': page.next})}"}] if page.next else []
    entries = [_entry(one, query.kind, base) | {"search": {"mode": "match"}} for one in page.found]
    if query.ignored:
        told = [Fault("", f"{name} is not a parameter of {query.kind} here and was ignored") for name in query.ignored]
        entries.append({"resource": operation_outcome(told, code="not-supported", severity="warning"), "search": {"mode": "outcome"}})
    whole = {"total": len(page.found)} if query.after is None and page.next is None else {}
    bundle = {"resourceType": "Bundle", "type": "searchset", **whole, "link": links}
    return bundle | {"entry": entries} if entries else bundle


def history(versions: Sequence[Held], kind: str, base: str) -> dict[str, Any]:
    """Every version of one resource, the newest first; the first one was posted."""
    entries = []
    for one in versions:
        first = one is versions[-1]
        request = {"method": "POST" if first else "PUT", "url": kind if first else f"{kind}/{one.resources[kind]['id']}"}
        response = {"status": "201" if first else "200", "etag": one.etag(kind), "lastModified": one.since.isoformat()}
        entries.append(_entry(one, kind, base) | {"request": request, "response": response})
    place = f"{base}/{kind}/{versions[0].resources[kind]['id']}/_history"
    link = [{"relation": "self", "url": place}]
    return {"resourceType": "Bundle", "type": "history", "total": len(entries), "link": link, "entry": entries}


def _entry(one: Held, kind: str, base: str) -> dict[str, Any]:
    return {"fullUrl": f"{base}/{kind}/{one.resources[kind]['id']}", "resource": one.resources[kind]}

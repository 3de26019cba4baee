"""The calls whose replies are recorded: what our client asks of a hospital, in an order in which each means something.

`calls(ids)` is a conversation: it yields a name and a `Call`, and is sent the reply. All ids and identifiers come from `ids`, so
that it can be held again with a server that remembers the last time.
"""

from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import quote

from fhir_bridge.hospital.exchange import JSON_PATCH, Call, Reply

Resource = dict[str, Any]
Conversation = Generator[tuple[str, Call], Reply, None]
SYSTEM = "https://clinic.example/fhir/record"
NO_CACHE = {"Cache-Control": "no-cache"}


def calls(ids: Callable[[str], str]) -> Conversation:
    """`ids(name)` gives the 36-character id of what is called `name`, the same one within this conversation."""
    yield "metadata", Call("GET", "metadata")
    yield from _transactions(ids)
    yield from _reads_and_updates(ids)
    yield from _conditional_creates(ids)
    yield from _refusals(ids)
    yield from _pages_and_history(ids)
    yield from _validations()


def _transactions(ids: Callable[[str], str]) -> Conversation:
    patient, pulse, pressure = _patient(ids("ada")), _pulse(ids("pulse"), ids("ada"), 72), _pulse(ids("pulse-2"), ids("ada"), 74)
    yield "transaction-created", Call("POST", "", _bundle(*map(_put, (patient, pulse, pressure))))
    yield "transaction-unchanged", Call("POST", "", _bundle(*map(_put, (patient, pulse, pressure))))
    yield "transaction-updated", Call("POST", "", _bundle(_put(patient), _put(_pulse(ids("pulse"), ids("ada"), 76))))
    stale = _put(_pulse(ids("pulse"), ids("ada"), 99), if_match='W/"1"')
    yield "transaction-stale", Call("POST", "", _bundle(_put(patient), stale))
    orphan = _put(_pulse(ids("orphan"), ids("nobody"), 80))
    yield "transaction-missing-target", Call("POST", "", _bundle(orphan))
    yield "batch-one-refused", Call("POST", "", _bundle(_put(patient), orphan, kind="batch"))
    twin = _create(_basic(ids("twin")), ids("twin"))
    yield "transaction-doubled-entry", Call("POST", "", _bundle(twin, twin | {"fullUrl": f"urn:uuid:{ids('twin-2')}"}))


def _reads_and_updates(ids: Callable[[str], str]) -> Conversation:
    pulse = f"Observation/{ids('pulse')}"
    yield "read", Call("GET", pulse)
    yield "read-missing", Call("GET", f"Observation/{ids('nobody')}")
    yield "update", Call("PUT", pulse, _pulse(ids("pulse"), ids("ada"), 78), {"If-Match": 'W/"2"'})
    yield "update-stale", Call("PUT", pulse, _pulse(ids("pulse"), ids("ada"), 79), {"If-Match": 'W/"1"'})
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    yield "patch", Call("PATCH", pulse, patch, {"If-Match": 'W/"3"', "Content-Type": JSON_PATCH})
    yield "patch-stale", Call("PATCH", pulse, patch, {"If-Match": 'W/"1"', "Content-Type": JSON_PATCH})
    yield "delete", Call("DELETE", f"Observation/{ids('pulse-2')}")
    yield "read-deleted", Call("GET", f"Observation/{ids('pulse-2')}")
    yield "delete-referenced", Call("DELETE", f"Patient/{ids('ada')}")


def _conditional_creates(ids: Callable[[str], str]) -> Conversation:
    condition = f"identifier={quote(SYSTEM)}%7C{ids('basic')}"
    header = {"If-None-Exist": condition}
    basic = _basic(ids("basic"))
    yield "create-if-none-created", Call("POST", "Basic", basic, header)
    yield "create-if-none-found", Call("POST", "Basic", basic, header)
    yield "put-if-one-updated", Call("PUT", f"Basic?{condition}", basic | {"created": "2026-03-02"})
    yield "create-again", Call("POST", "Basic", basic)
    yield "create-if-none-several", Call("POST", "Basic", basic, header)
    yield "put-if-one-several", Call("PUT", f"Basic?{condition}", basic)
    entry = _create(basic, ids("entry"), condition)
    yield "transaction-create-if-none-several", Call("POST", "", _bundle(entry))
    yield "search-several", Call("GET", f"Basic?{condition}&_sort=_lastUpdated", headers=NO_CACHE)
    yield "search-nothing", Call("GET", f"Basic?identifier={quote(SYSTEM)}%7C{ids('nobody')}", headers=NO_CACHE)


def _refusals(ids: Callable[[str], str]) -> Conversation:
    patient = _patient(ids("bob"))
    yield "create-missing-target", Call("POST", "Observation", _pulse(ids("orphan"), ids("nobody"), 80))
    yield "bad-code", Call("PUT", f"Patient/{ids('bob')}", patient | {"gender": "f"})
    yield "bad-date", Call("PUT", f"Patient/{ids('bob')}", patient | {"birthDate": "1984-02-30"})
    yield "other-id", Call("PUT", f"Patient/{ids('ada')}", patient)
    yield "unknown-search-parameter", Call("GET", "Patient?shoe-size=42")
    yield "unknown-type", Call("GET", "Spaceship")
    yield "no-smart-configuration", Call("GET", ".well-known/smart-configuration")


def _pages_and_history(ids: Callable[[str], str]) -> Conversation:
    several = [_basic(ids("page"), of=f"{number}-{ids('page')}") for number in range(3)]  # ids in an order that stays
    stored = yield "transaction-three", Call("POST", "", _bundle(*map(_put, several)))
    since = stored.body["entry"][0]["response"]["lastModified"].replace("+00:00", "Z")
    identifier = f"identifier={quote(SYSTEM)}%7C{ids('page')}"
    page = yield "search-page", Call("GET", f"Basic?{identifier}&_count=2&_sort=_id", headers=NO_CACHE)
    following = next(link["url"] for link in page.body["link"] if link["relation"] == "next")
    yield "search-last-page", Call("GET", "?" + following.partition("?")[2])
    yield "page-gone", Call("GET", f"?_getpages={ids('nobody')}&_getpagesoffset=2&_count=2&_bundletype=searchset")
    yield "search-updated-since", Call("GET", f"Basic?{identifier}&_lastUpdated=ge{since}&_sort=_lastUpdated,_id", headers=NO_CACHE)
    gone = several[0]["id"]
    yield "delete-one", Call("DELETE", f"Basic/{gone}")
    yield "history-with-delete", Call("GET", f"Basic/{gone}/_history")
    yield "history-page", Call("GET", f"Basic/_history?_since={since}&_count=2")


def _validations() -> Conversation:
    profile = "http://hl7.org/fhir/StructureDefinition/heartrate"
    pulse = _pulse("not-stored", "", 72) | {"subject": {"display": "Invented, Ada"}}
    yield "validate-good", Call("POST", f"Observation/$validate?profile={profile}", pulse)
    yield "validate-errors", Call("POST", f"Observation/$validate?profile={profile}", pulse | {"category": [], "foo": 1})


def _patient(identity: str) -> Resource:
    return {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [{"system": SYSTEM, "value": identity}],
        "name": [{"family": "Invented", "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1984-02-29",
    }


def _pulse(identity: str, patient: str, value: int) -> Resource:
    return {
        "resourceType": "Observation",
        "id": identity,
        "identifier": [{"system": SYSTEM, "value": identity}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-02T09:00:00-05:00",
        "valueQuantity": {"value": value, "unit": "beats/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


def _basic(identifier: str, *, of: str = "") -> Resource:
    """A resource of a type nothing else in the tests uses, so that its type history is ours."""
    found: Resource = {"resourceType": "Basic", "identifier": [{"system": SYSTEM, "value": identifier}], "code": {"text": "invented"}}
    return found | {"id": of} if of else found


def _put(resource: Resource, *, if_match: str = "") -> Resource:
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {"resource": resource, "request": request | ({"ifMatch": if_match} if if_match else {})}


def _create(resource: Resource, uuid: str, condition: str = "") -> Resource:
    condition = condition or f"identifier={quote(SYSTEM)}%7C{resource['identifier'][0]['value']}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition}
    return {"fullUrl": f"urn:uuid:{uuid}", "resource": resource, "request": request}


def _bundle(*entries: Resource, kind: str = "transaction") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}

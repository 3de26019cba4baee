"""What the bridge relies on in searches, their pages, and histories."""

import re
import time
import uuid

import pytest
from fhir_api import SYSTEM, TAG_SYSTEM, Api, by, entry, milliseconds, observation, patient, refused, transaction

# Search


def test_an_identifier_is_found_by_system_and_value(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    assert [found["id"] for found in api.search(by(key))] == [created["id"]]
    assert [found["id"] for found in api.search(f"Patient?identifier={key}")] == [created["id"]]
    assert api.search(f"Patient?identifier=https://other.example%7C{key}") == []


def test_a_search_says_what_it_is(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    bundle = api.get(by(key)).json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert bundle["link"][0]["relation"] == "self"
    [found] = bundle["entry"]
    assert found["fullUrl"] == f"{api.base_url}/Patient/{created['id']}"
    assert found["search"] == {"mode": "match"}
    assert "entry" not in api.get(by(f"no-{key}")).json()


@pytest.fixture
def visit(api: Api, key: str) -> str:
    """Two observations, an hour apart, of a patient with this id in an encounter with this id."""
    encounter = {"resourceType": "Encounter", "id": key, "status": "finished", "class": {"code": "AMB"}}
    of = {"subject": {"reference": f"Patient/{key}"}, "encounter": {"reference": f"Encounter/{key}"}}
    weight = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    later = observation(f"{key}-2", status="amended", code=weight, effectiveDateTime="2026-03-02T15:00:00Z", **of)
    period = {"start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T11:00:00-05:00"}
    reply = api.post(
        "",
        transaction(
            entry("PUT", f"Patient/{key}", patient(key, id=key)),
            entry("PUT", f"Encounter/{key}", encounter | {"subject": of["subject"], "period": period}),
            entry("POST", "Observation", observation(f"{key}-1", **of)),
            entry("POST", "Observation", later),
        ),
    )
    assert reply.status_code == 200, reply.text
    return key


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("code=http://loinc.org%7C8867-4", 1),
        ("code=29463-7", 1),
        ("code=8867-4,29463-7", 2),
        ("category=vital-signs", 2),
        ("category=laboratory", 0),
        ("status=final", 1),
        ("status:not=final", 1),
        ("date=2026-03-02", 2),
        ("date=2026-03-02T14:00:00Z", 1),
        ("date=gt2026-03-02T14:00:00Z", 1),
        ("date=ge2026-03-02T14:00:00Z", 2),
        ("date=lt2026-03-02T14:00:00Z", 0),
        ("date=le2026-03-02T14:00:00Z", 1),
        ("date=ge2026-03-02T14:30:00Z&date=lt2026-03-02T15:30:00Z", 1),
        ("date=ge2026-03-03", 0),
        ("_id=none", 0),
    ],
)
def test_observations_are_found_by(api: Api, visit: str, query: str, found: int):
    assert len(api.search(f"Observation?patient={visit}&{query}".rstrip("&"))) == found


def test_what_belongs_to_a_patient_or_encounter_is_found_by_it(api: Api, visit: str):
    for query in (f"patient=Patient/{visit}", f"subject=Patient/{visit}", f"encounter=Encounter/{visit}", f"encounter={visit}"):
        assert len(api.search(f"Observation?{query}")) == 2, query
    assert len(api.search(f"Encounter?patient={visit}&date=2026-03-02&status=finished")) == 1
    assert len(api.search(f"Observation?patient.identifier={SYSTEM}%7C{visit}")) == 2


def test_a_search_may_be_posted(api: Api, visit: str):
    form = f"patient={visit}&code=8867-4".encode()
    reply = api.post("Observation/_search", form, Content_Type="application/x-www-form-urlencoded")
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["entry"]) == 1


def test_last_updated_finds_to_the_millisecond(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    at = milliseconds(created["meta"]["lastUpdated"])
    hits = {prefix: len(api.search(f"{by(key)}&_lastUpdated={prefix}{at}")) for prefix in ("ge", "gt", "le", "lt", "eq")}
    assert hits == {"ge": 1, "gt": 0, "le": 1, "lt": 0, "eq": 1}


def test_last_updated_in_whole_seconds_skips_or_takes_the_second(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    second = milliseconds(created["meta"]["lastUpdated"])[:19] + "Z"
    hits = {prefix: len(api.search(f"{by(key)}&_lastUpdated={prefix}{second}")) for prefix in ("ge", "gt", "le", "lt", "eq")}
    assert hits == {"ge": 1, "gt": 0, "le": 1, "lt": 0, "eq": 1}


def test_resources_are_found_by_tag_and_source(api: Api, key: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}], "source": f"https://clinic.example/{key}"}
    api.post("Patient", patient(key, meta=meta))
    assert len(api.search(f"Patient?_tag={TAG_SYSTEM}%7C{key}")) == 1
    assert len(api.search(f"Patient?_source=https://clinic.example/{key}")) == 1


def test_what_a_search_does_not_know_is_refused(api: Api, key: str):
    for handling in ("strict", "lenient"):
        refused(api.get("Patient?unheard=of", Prefer=f"handling={handling}"), 400, "HAPI-0524", "unheard")
    refused(api.get("Observation?date=yesterday"), 400)
    refused(api.get("Patient?_sort=unheard"), 400, "HAPI-1194")
    refused(api.get("Unheard?_id=1"), 404, "HAPI-0302")


def test_an_unknown_modifier_is_ignored(api: Api, key: str):
    api.post("Observation", observation(key))
    assert len(api.search(f"{by(key, 'Observation')}&code:foo=8867-4")) == 1


# Pages


@pytest.fixture
def seven(api: Api, key: str) -> str:
    """Seven observations tagged with this key."""
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}]}
    entries = [entry("POST", "Observation", observation(f"{key}-{number}", meta=meta)) for number in range(7)]
    assert api.post("", transaction(*entries)).status_code == 200
    return key


def test_next_links_lead_through_all_of_a_search_once(api: Api, seven: str):
    path = f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3&_sort=_lastUpdated"
    first = api.get(path).json()
    assert len(first["entry"]) == 3
    assert re.search(r"\?_getpages=[\w-]+&", next(link["url"] for link in first["link"] if link["relation"] == "next"))
    assert len({found["resource"]["id"] for found in api.walk(path)}) == 7
    assert len(list(api.walk(path))) == 7


def test_what_arrives_while_paging_moves_nothing(api: Api, seven: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": seven}]}
    pages = api.walk(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3")
    first = next(pages)
    api.post("Observation", observation(f"{seven}-late", meta=meta))
    assert len({found["resource"]["id"] for found in [first, *pages]}) == 7


def test_a_page_that_expired_is_gone(api: Api):
    refused(api.get(f"?_getpages={uuid.uuid4()}&_getpagesoffset=3&_count=3&_bundletype=searchset"), 410, "HAPI-0417")


def test_a_count_of_zero_only_counts(api: Api, seven: str):
    bundle = api.get(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=0").json()
    assert bundle["total"] == 7
    assert "entry" not in bundle


def test_a_total_is_given_when_asked_for(api: Api, seven: str):
    assert api.get(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3&_total=accurate").json()["total"] == 7


def test_a_search_sorted_by_time_of_change_is_oldest_first(api: Api, key: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}]}
    for number in range(3):
        api.put(f"Patient/{key}-{number}", patient(key, id=f"{key}-{number}", meta=meta))
        time.sleep(0.005)
    api.put(f"Patient/{key}-0", patient(key, id=f"{key}-0", gender="other", meta=meta))
    path = f"Patient?_tag={TAG_SYSTEM}%7C{key}&_sort="
    assert [found["id"][-1] for found in api.search(f"{path}_lastUpdated")] == ["1", "2", "0"]
    assert [found["id"][-1] for found in api.search(f"{path}-_lastUpdated")] == ["0", "2", "1"]


# Versions and history


def test_every_version_can_be_read(api: Api, key: str):
    for gender in ("female", "male"):
        api.put(f"Patient/{key}", patient(key, id=key, gender=gender))
    assert api.get(f"Patient/{key}/_history/1").json()["gender"] == "female"
    refused(api.get(f"Patient/{key}/_history/9"), 404, "HAPI-0979")
    api.delete(f"Patient/{key}")
    assert api.get(f"Patient/{key}/_history/3").status_code == 410


def test_the_history_of_a_resource_is_newest_first_and_names_each_request(api: Api, key: str):
    for gender in ("female", "male"):
        api.put(f"Patient/{key}", patient(key, id=key, gender=gender))
    bundle = api.get(f"Patient/{key}/_history").json()
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    newest, oldest = bundle["entry"]
    assert newest["resource"]["meta"]["versionId"] == "2"
    assert newest["fullUrl"] == f"{api.base_url}/Patient/{key}"
    assert newest["request"] == {"method": "PUT", "url": f"Patient/{key}/_history/2"}
    assert newest["response"]["status"].startswith("200")
    assert oldest["response"]["etag"] == 'W/"1"'
    assert oldest["response"]["status"].startswith("201")


def test_a_deletion_in_a_history_has_neither_resource_nor_time(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    api.delete(f"Patient/{key}")
    deletion = api.get(f"Patient/{key}/_history").json()["entry"][0]
    assert deletion == {
        "fullUrl": f"{api.base_url}/Patient/{key}",
        "request": {"method": "DELETE", "url": f"Patient/{key}/_history/2"},
        "response": {"status": "200 OK", "etag": 'W/"2"'},
    }


def test_the_history_of_a_type_since_an_instant_includes_it(api: Api, key: str):
    first = api.put(f"Device/{key}", {"resourceType": "Device", "id": key}).json()
    since = milliseconds(first["meta"]["lastUpdated"])
    time.sleep(0.005)
    second = api.put(f"Device/{key}", {"resourceType": "Device", "id": key, "lotNumber": "L-1"}).json()
    found = [e["response"]["etag"] for e in api.walk(f"Device/_history?_since={since}") if e["fullUrl"].endswith(key)]
    assert found == ['W/"2"', 'W/"1"']
    later = milliseconds(second["meta"]["lastUpdated"])
    found = [e["response"]["etag"] for e in api.walk(f"Device/_history?_since={later}") if e["fullUrl"].endswith(key)]
    assert found == ['W/"2"']
    assert "total" not in api.get(f"Device/_history?_since={since}").json()


def test_a_history_is_paged_by_offset(api: Api, key: str):
    for number in range(5):
        api.put(f"Device/{key}", {"resourceType": "Device", "id": key, "lotNumber": f"L-{number}"})
    path = f"Device/{key}/_history?_count=2"
    first = api.get(path).json()
    assert "_offset=2" in next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert [found["response"]["etag"] for found in api.walk(path)] == [f'W/"{number}"' for number in (5, 4, 3, 2, 1)]

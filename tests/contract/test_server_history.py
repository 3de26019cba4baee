"""What a pull relies on in histories and in searches for what changed, and a whole pull, asked of the sandbox and of HAPI alike."""

import re
import time
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from fhir_api import TAG_SYSTEM, Api, milliseconds, patient

from fhir_bridge import bootstrap, documents
from fhir_bridge.clock import utc_now
from fhir_bridge.hospital import pages
from fhir_bridge.hospital.client import Client
from fhir_bridge.hospital.crawl import Crawl
from fhir_bridge.hospital.pages import Page
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import clients, pulls
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pull import Pulled, pull
from fhir_bridge.sync.worker import Worker

CASE = Path(__file__).parents[2] / "fixtures/cases/monitored-clinic-visit/session-1.json"
FIELDS = ("id", "version", "status", "care_setting", "patient", "started_at", "ended_at", "follow_up")


def device(key: str, lot: str = "L-0") -> dict[str, Any]:
    return {"resourceType": "Device", "id": key, "lotNumber": lot}


def crawled(server: Server, path: str) -> list[Page]:
    found = list(Crawl(Client(server.base_url), pages.onward(path), "Device", until=time.monotonic() + 60))
    assert all(isinstance(page, Page) for page in found), found
    return [page for page in found if isinstance(page, Page)]


def test_a_history_cut_to_the_second_holds_what_was_written_within_it(server: Server, api: Api, key: str) -> None:
    written = api.put(f"Device/{key}", device(key)).json()
    second = milliseconds(written["meta"]["lastUpdated"])[:19] + "Z"
    shown = [one for page in crawled(server, f"Device/_history?_since={second}&_count=50") for one in page.shown]
    assert key in [one.id for one in shown]


def test_the_first_page_tells_the_servers_time(server: Server, api: Api, key: str) -> None:
    api.put(f"Device/{key}", device(key))
    for path in ("Device/_history?_since=2026-01-01T00:00:00Z&_count=5", f"Device?_id={key}&_count=5"):
        clock = crawled(server, path)[0].clock
        assert clock is not None
        assert abs((clock - utc_now()).total_seconds()) < 60


def test_what_is_written_while_a_history_is_read_moves_everything_one_back_and_nothing_is_lost(server: Server, api: Api, key: str) -> None:
    start = milliseconds(api.put(f"Device/{key}", device(key)).json()["meta"]["lastUpdated"])
    for number in range(1, 5):
        api.put(f"Device/{key}", device(key, f"L-{number}"))
    seen: list[str] = []
    for number, page in enumerate(Crawl(Client(server.base_url), pages.onward(f"Device/_history?_since={start}&_count=2"), "Device",
                                        until=time.monotonic() + 60)):  # fmt: skip
        assert isinstance(page, Page)
        seen += [one.version for one in page.shown if one.id == key]
        if number == 0:
            api.put(f"Device/{key}", device(key, "L-late"))
    assert set(seen) >= {"1", "2", "3", "4", "5"}
    assert crawled(server, f"Device/_history?_since={start}&_count=2")[0].shown[0].version == "6"


def test_a_deleted_resource_is_in_the_history_and_not_in_a_search_for_what_changed(server: Server, api: Api, key: str) -> None:
    written = api.put(f"Device/{key}", device(key)).json()
    since = milliseconds(written["meta"]["lastUpdated"])
    api.delete(f"Device/{key}")
    [deletion, first] = [
        one for page in crawled(server, f"Device/_history?_since={since}&_count=50") for one in page.shown if one.id == key
    ]
    assert (deletion.version, deletion.resource, first.version) == ("2", None, "1")
    assert key not in [one.id for page in crawled(server, f"Device?_lastUpdated=ge{since}&_count=50") for one in page.shown]


def test_a_search_for_what_changed_comes_newest_first_when_asked(server: Server, api: Api, key: str) -> None:
    tag = {"meta": {"tag": [{"system": TAG_SYSTEM, "code": key}]}}
    for number in range(3):
        api.put(f"Patient/{key}-{number}", patient(key, id=f"{key}-{number}") | tag)
        time.sleep(0.005)
    api.put(f"Patient/{key}-1", patient(key, id=f"{key}-1", gender="other") | tag)
    path = f"Patient?_tag={TAG_SYSTEM}%7C{key}&_lastUpdated=ge2026-01-01T00:00:00Z&_sort=-_lastUpdated&_count=2"
    shown = list(Crawl(Client(server.base_url), pages.onward(path), "Patient", until=time.monotonic() + 60))
    assert [one.id[-1] for page in shown if isinstance(page, Page) for one in page.shown] == ["1", "2", "0"]


@pytest.fixture
def bridge(server: Server, sqlite_url: str) -> Iterator[Bridge]:
    settings = Settings(
        database_url=Secret(sqlite_url),
        sites={"default": Site("default", hospitals=("general",))},
        hospitals={"general": Hospital("general", server.base_url)},
    )
    bootstrap.prepare(settings)
    made = bootstrap.bridge(settings)
    yield made
    made.store.close()


def delivered(bridge: Bridge) -> dict[str, str]:
    """A short visit of a patient nobody has seen before is there: our `Type/uuid` and theirs."""
    token = uuid.uuid4().hex[:8]
    whole = documents.loads(re.sub(r'"([A-Z])-MCV', rf'"\1-{token}', CASE.read_text()).encode())
    session = {name: whole[name] for name in FIELDS} | {"readings": whole["readings"][:1]}
    digest = sha256(documents.dumps(session)).hexdigest()
    clinic = clients.Client("default", "clinic-1", "The clinic", "clinic", utc_now())
    accept.accept(bridge, client=clinic, kind="session", document=session, body_sha256=digest, key=None)
    Worker(bridge, name="contract").drain()
    told = status.of_record(bridge, tenant="default", kind="session", id=session["id"])
    assert told is not None and told["deliveries"][0]["state"] == "delivered", told
    return {sent["ours"]: sent["theirs"] for sent in told["deliveries"][0]["resources"]}


def pulled(bridge: Bridge) -> Pulled:
    return pull(bridge, tenant="default", hospital="general", types=("Appointment", "Observation"), page_size=20)


def test_what_the_hospital_changes_and_deletes_is_pulled_once(bridge: Bridge, api: Api) -> None:
    theirs = delivered(bridge).values()
    assert "changed" not in pulled(bridge).counts
    appointment = next(each for each in theirs if each.startswith("Appointment/"))
    reading = next(each for each in theirs if each.startswith("Observation/"))
    held = api.get(appointment).json()
    assert api.put(appointment, held | {"status": "cancelled"}).status_code == 200
    assert api.delete(reading).status_code == 200
    found = pulled(bridge)
    assert found.whole, found.notes
    assert (found.counts["changed"], found.counts["gone"]) == (1, 1)
    with bridge.store.reading() as tx:
        assert [gone for gone, _ in pulls.tombstones(tx, "default", "general")] == [reading]
    assert {"changed", "gone"}.isdisjoint(pulled(bridge).counts)

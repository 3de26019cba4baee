"""Any order, split and repetition of a history's pages gives the same state: what the hospital says now, applied once."""

import random
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from law_cases import LOOK
from sqlalchemy import select

from fhir_bridge import bootstrap, documents
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.seen import Seen, of_resource
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import pulls
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.store.pull_tables import pulled
from fhir_bridge.store.tables import links, records
from fhir_bridge.sync import accept
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pulling import page as pull_page
from fhir_bridge.sync.pulling.run import Run
from fhir_bridge.sync.worker import Worker

CASE = Path(__file__).parents[2] / "fixtures/cases/monitored-clinic-visit/session-1.json"
FIELDS = ("id", "version", "status", "care_setting", "patient", "started_at", "ended_at", "follow_up")
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
CLINIC = Client("default", "clinic-1", "The clinic", "clinic", NOW)
WORDS = ("proposed", "pending", "booked", "waitlist", "cancelled")


class There:
    """A bridge whose session is at a hospital, its database file, and what the hospital holds."""

    def __init__(self, bridge: Bridge, file: Path, held: list[dict[str, Any]]) -> None:  # a dataclass would be printed whole
        self.bridge, self.file, self.held = bridge, file, held


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    folder, chart = tmp_path_factory.mktemp("law"), Chart(clock=lambda: NOW)
    with running(create_app(load("hapi"), store=chart)) as server:
        settings = Settings(
            database_url=Secret(f"sqlite:///{folder / 'bridge.sqlite'}"),
            sites={"default": Site("default", hospitals=("general",))},
            hospitals={"general": Hospital("general", server.base_url)},
        )
        bootstrap.prepare(settings)
        bridge = replace(bootstrap.bridge(settings), clock=lambda: NOW, store=Store(settings.database_url.reveal(), clock=lambda: NOW))
        whole = documents.loads(CASE.read_bytes())
        session = {name: whole[name] for name in FIELDS} | {"readings": whole["readings"][:1]}
        digest = sha256(documents.dumps(session)).hexdigest()
        accept.accept(bridge, client=CLINIC, kind="session", document=session, body_sha256=digest, key=None)
        Worker(bridge, name="law").drain()
        with chart.draft() as draft:
            held = [version.document for kind in ("Appointment", "Observation") for version in draft.every(kind) if version.document]
        bridge.store.close()
        yield There(bridge, folder / "bridge.sqlite", held)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[int], bool]]:
    """For some resources (by place): the changes each went through, and whether it was deleted in the end."""
    places = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    return [(place, draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)), draw(st.booleans())) for place in places]


@LOOK
@hypothesis.given(told=histories(), seed=st.integers(0, 2**32))
def test_any_order_split_and_repetition_of_pages_gives_the_same_state(
    there: There, told: list[tuple[int, list[int], bool]], seed: int
) -> None:
    chance = random.Random(seed)
    changed = {place % len(there.held): (steps, gone) for place, steps, gone in told}
    entries = [entry for place, (steps, gone) in changed.items() for entry in history(there.held[place], steps, gone)]
    with copied(there) as straight:
        read(straight, [entries])
        expected = state(straight)
    with copied(there) as shuffled:
        read(shuffled, pages(entries, chance))
        assert state(shuffled) == expected
        read(shuffled, pages(entries, chance))
        assert state(shuffled) == expected


def history(resource: dict[str, Any], steps: list[int], gone: bool) -> list[Seen]:
    """The versions of one resource from the one we wrote on, the newest last.

    Only readings are deleted: what an appointment said last before it was deleted is seen or not, as the pages fall.
    """
    gone = gone and resource["resourceType"] == "Observation"
    found = [of_resource(resource)]
    for number, step in enumerate(steps, start=2):
        meta = {"versionId": str(number), "lastUpdated": (NOW + timedelta(seconds=number)).isoformat()}
        change = {"status": WORDS[step]} if resource["resourceType"] == "Appointment" else {"issued": f"2026-03-0{step + 3}T10:00:00Z"}
        found.append(of_resource(resource | change | {"meta": meta}))
    return [*found, Seen(found[0].type, found[0].id, str(len(found) + 1), "", None)] if gone else found


def pages(entries: list[Seen], chance: random.Random) -> list[list[Seen]]:
    """Every entry at least once, some again, in any order, cut anywhere."""
    dealt = entries + chance.choices(entries, k=chance.randrange(6))
    chance.shuffle(dealt)
    cuts = sorted(chance.randrange(len(dealt) + 1) for _ in range(chance.randrange(5)))
    return [dealt[start:end] for start, end in zip([0, *cuts], [*cuts, len(dealt)], strict=True)]


@contextmanager
def copied(there: There) -> Iterator[Bridge]:
    """The same bridge on a copy of its database."""
    copy = shutil.copyfile(there.file, there.file.with_name(f"{uuid.uuid4()}.sqlite"))
    store = Store(f"sqlite:///{copy}", clock=lambda: NOW)
    yield replace(there.bridge, store=store)
    store.close()
    copy.unlink()


def read(bridge: Bridge, found: list[list[Seen]]) -> None:
    """The pages of each type, as a crawl of its history stores them."""
    run = Run(bridge, "default", bridge.hospitals["general"], Capabilities(), holder="law", until=0)
    for kind in ("Appointment", "Observation"):
        with bridge.store.transaction() as tx:
            pull = pulls.lease(tx, "default", "general", kind, holder="law", seconds=9)
        assert pull is not None
        for page in found:
            pull = pull_page.store(run, pull, [one for one in page if one.type == kind], current=False)
        with bridge.store.transaction() as tx:
            pulls.release(tx, pull)


def state(bridge: Bridge) -> dict[str, Any]:
    """What is believed after all of it.

    Of records what they say, not how often they changed on the way; of a deleted resource that it is gone, not what it last was.
    """
    with bridge.store.reading() as tx:
        newest = {(row.kind, row.id): row.document for row in tx.rows(select(records).order_by(records.c.version))}
        seen = tx.rows(select(pulled.c.type, pulled.c.id, pulled.c.version, pulled.c.gone_at.is_not(None)))
        told = tx.rows(select(links.c.ours, links.c.theirs, links.c.version))
        gone = {theirs for theirs, _ in pulls.tombstones(tx, "default", "general")}
    bodies = {key: {name: value for name, value in documents.loads(text).items() if name != "version"} for key, text in newest.items()}
    return {"records": bodies, "seen": Counter(map(tuple, seen)), "links": Counter(tuple(row) for row in told if row.theirs not in gone)}

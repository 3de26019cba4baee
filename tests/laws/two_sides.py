"""Many patients at once on one bridge and one hospital, both sides changing what they like, and what became of every word said."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from fhir_bridge import bootstrap, documents
from fhir_bridge.hospital.seen import Seen
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import conflicts, records
from fhir_bridge.store.clients import Client
from fhir_bridge.store.conflicts import Conflict
from fhir_bridge.store.database import Store
from fhir_bridge.store.records import VersionTaken
from fhir_bridge.sync import accept
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pulling.apply import apply_page
from fhir_bridge.sync.worker import Worker

START = datetime(2026, 3, 3, 12, tzinfo=UTC)
CLINIC = Client("default", "clinic-1", "The clinic", "clinic", START)
# field → (the resource it stands in, what it may be); the last one is the clinic's, the others are the hospital's
FIELDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "patient.family_name": ("Patient", tuple(f"Synthetic-{name}" for name in ("Ash", "Birch", "Cedar", "Elm"))),
    "patient.phone": ("Patient", ("555-0100", "555-0101", "555-0102")),
    "follow_up.start": ("Appointment", tuple(f"2026-04-{day:02}T15:00:00Z" for day in range(1, 9))),
    "follow_up.status": ("Appointment", ("booked", "pending", "no-show", "fulfilled")),
    "follow_up.created": ("Appointment", tuple(f"2026-03-0{day}T09:00:00Z" for day in (1, 2, 3))),
}
CLINICS = {"follow_up.created"}
SPELT = {"no-show": "noshow"}


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Patient:
    """One history: the clinic's own copy, the last word of each side on each field, and where the clinic ever said otherwise."""

    number: str
    copy: dict[str, Any]
    clinics: dict[str, Any]
    hospitals: dict[str, Any] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    spoken: set[str] = field(default_factory=set)


@dataclass
class TwoSides:
    """The clinic, the bridge and the hospital, and a generator of what they do."""

    bridge: Bridge
    chart: Chart
    clock: Clock
    rng: Random
    patients: list[Patient] = field(default_factory=list)

    def begin(self, count: int) -> None:
        """So many patients with an appointment each, which the hospital has."""
        for number in range(count):
            said = {path: values[0] for path, (_, values) in FIELDS.items()}
            patient = Patient(f"{number}", _record(f"{number}", said), said)
            self.patients.append(patient)
            self._post(patient)
        self.deliver()

    def clinic_says(self, patient: Patient) -> bool:
        """The clinic changes a field: in what it reads now, or, carelessly, in its own old copy under the next number.

        False when it says what it read.
        """
        path, value = self._anything()
        newest = self.record(patient)
        base = newest if self.rng.random() < 0.5 else patient.copy
        record = deepcopy(base)
        _set(record, path, value)
        patient.spoken |= {path for path in FIELDS if _get(record, path) != _get(newest, path)}
        record["follow_up"]["version"] = newest["follow_up"].get("version", 1) + 1
        patient.copy = record
        patient.clinics = {path: _get(record, path) for path in FIELDS}
        self._post(patient)
        return patient.clinics != {path: _get(newest, path) for path in FIELDS}

    def hospital_says(self, patient: Patient) -> bool:
        """The hospital changes a field in what it holds.

        What it changes and changes back before anybody looks, it has not said; what both come to say by chance cannot be told from
        our own write. False when it says nothing.
        """
        path, value = self._anything()
        if _get(self.record(patient), path) == value:
            return False
        kind, _ = FIELDS[path]
        with self.chart.draft() as draft:
            document = next(one.document for one in draft.every(kind) if one.document and _is_of(one.document, patient.number))
            if path in patient.unseen or _read(document, path) == value:
                return False
            changed = deepcopy(document)
            _write(changed, path, value)
            draft.write(kind, changed["id"], document=changed, method="PUT")
        patient.hospitals[path] = value
        patient.unseen.add(path)
        return True

    def pull(self) -> None:
        """What the hospital shows, in any order, cut anywhere, some of it twice."""
        with self.chart.draft() as draft:
            newest = {version.path: version for version in draft.store.log}
        shown = [Seen(one.type, one.id, str(one.number), one.updated.isoformat(), one.document) for one in newest.values()]
        shown += self.rng.sample(shown, len(shown) // 10)
        self.rng.shuffle(shown)
        while shown:
            cut = self.rng.randrange(1, 200)
            page, shown = shown[:cut], shown[cut:]
            with self.bridge.store.transaction() as tx:
                apply_page(self.bridge, tx, tenant="default", hospital="general", seen=page)
        for patient in self.patients:
            patient.unseen.clear()

    def deliver(self) -> None:
        """Everything that is due by now, hours later."""
        self.clock.now += timedelta(hours=2)
        Worker(self.bridge, name="law").drain()

    def record(self, patient: Patient) -> dict[str, Any]:
        with self.bridge.store.reading() as tx:
            stored = records.current(tx, "default", "appointment", f"A-{patient.number}")
        assert stored is not None
        found: dict[str, Any] = documents.loads(stored.document)
        return found

    def open_conflicts(self) -> dict[tuple[str, str], Conflict]:
        """By number of the record and path."""
        with self.bridge.store.reading() as tx:
            found = conflicts.listing(tx, "default", limit=100_000)
        return {(one.record_id, one.path): one for one in found}

    def held(self) -> dict[str, dict[str, Any]]:
        """By patient, what the hospital holds of each field."""
        found: dict[str, dict[str, Any]] = {patient.number: {} for patient in self.patients}
        with self.chart.draft() as draft:
            for path, (kind, _) in FIELDS.items():
                for one in draft.every(kind):
                    if one.document:
                        found[_number(one.document)][path] = _read(one.document, path)
        return found

    def _anything(self) -> tuple[str, Any]:
        path = self.rng.choice(sorted(FIELDS))
        return path, self.rng.choice(FIELDS[path][1])

    def _post(self, patient: Patient) -> None:
        document = patient.copy
        digest = sha256(documents.dumps(document)).hexdigest()
        try:
            accept.accept(self.bridge, client=CLINIC, kind="appointment", document=document, body_sha256=digest)
        except VersionTaken as taken:  # the clinic numbered it by what it just read, so nobody else can have
            raise AssertionError from taken


@contextmanager
def two_sides(folder: Path, seed: int) -> Iterator[TwoSides]:
    """A bridge on SQLite beside a hospital in a box, over HTTP."""
    chart, clock = Chart(), Clock()
    with running(create_app(load("hapi"), store=chart)) as server:
        settings = Settings(
            database_url=Secret(f"sqlite:///{folder / 'bridge.sqlite'}"),
            sites={"default": Site("default", hospitals=("general",))},
            hospitals={"general": Hospital("general", server.base_url)},
        )
        bootstrap.prepare(settings)
        made = bootstrap.bridge(settings)
        made.store.close()
        store = Store(settings.database_url.reveal(), clock=clock)
        yield TwoSides(replace(made, store=store, clock=clock), chart, clock, Random(seed))
        store.close()


def _record(number: str, said: dict[str, Any]) -> dict[str, Any]:
    patient = {"id": f"P-{number}", "given_names": ["Sampleina"], "birth_date": "1990-01-01", "sex": "female"}
    record = {"patient": patient, "follow_up": {"id": f"A-{number}", "version": 1, "end": "2026-05-01T15:00:00Z"}}
    for path, value in said.items():
        _set(record, path, value)
    return record


def _set(record: dict[str, Any], path: str, value: Any) -> None:
    part, name = path.split(".")
    record[part][name] = value


def _get(record: dict[str, Any], path: str) -> Any:
    part, name = path.split(".")
    return record[part].get(name)


def _number(document: dict[str, Any]) -> str:
    return str(next(one["value"] for one in document["identifier"] if one["value"][:2] in ("P-", "A-"))[2:])


def _is_of(document: dict[str, Any], number: str) -> bool:
    return _number(document) == number


def _write(document: dict[str, Any], path: str, value: Any) -> None:
    match path:
        case "patient.family_name":
            document["name"][0]["family"] = value
        case "patient.phone":
            next(one for one in document["telecom"] if one["system"] == "phone")["value"] = value
        case _:
            document[path.partition(".")[2]] = SPELT.get(value, value)


def _read(document: dict[str, Any], path: str) -> Any:
    match path:
        case "patient.family_name":
            return document["name"][0]["family"]
        case "patient.phone":
            return next(one for one in document["telecom"] if one["system"] == "phone")["value"]
        case _:
            spelt = document[path.partition(".")[2]]
            return next((word for word, code in SPELT.items() if code == spelt), spelt)

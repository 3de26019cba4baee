"""Whole valid clinic records for Hypothesis: every field and status, any digits and offsets, in normal form or as a clinic may send them.

Times are drawn as moments first and written down afterwards, each with an offset of its own, so that order is true whatever the
text looks like. `sessions()` and `appointments()` satisfy `load(kind, record) == record`.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from hypothesis import strategies as st

from fhir_bridge.clinic import records, words
from fhir_bridge.clinic.quantities import ABSENCES
from fhir_bridge.clinic.units import DOSES, RATES

CODES = Path(__file__).parents[1] / "mappings" / "codes"
Draw = Callable[[st.SearchStrategy[Any]], Any]
Record = dict[str, Any]


def _table(name: str, otherwise: str) -> list[str]:
    """The words of a code table, or the clinic's own list while there is no table."""
    file = CODES / f"{name}.yaml"
    codes = (yaml.safe_load(file.read_text()) or {}).get("codes") if file.exists() else None
    return sorted(codes) if codes else otherwise.split()


DRUGS = _table(
    "drugs",
    "magnesium-sulfate ondansetron ketorolac dexamethasone methylprednisolone ketamine dihydroergotamine eptinezumab metoclopramide "
    "prochlorperazine diphenhydramine valproate potassium-chloride vitamin-c vitamin-b12 "
    "ibuprofen acetaminophen-aspirin-caffeine sumatriptan",
)
FLUIDS = _table("fluids", "sodium-chloride-0.9 lactated-ringers")
CONDITIONS = _table(
    "conditions",
    "chronic-migraine chronic-migraine-intractable status-migrainosus chronic-tension-headache cluster-headache "
    "medication-overuse-headache migraine",
)
REACTIONS = _table(
    "reactions",
    "nasal-congestion sore-throat site-pain site-redness rash hives flushing breathing-difficulty lip-swelling tongue-swelling "
    "throat-swelling face-swelling dizziness light-headedness fatigue nausea vomiting sedation",
)

ZONES = [
    UTC,
    ZoneInfo("America/New_York"),
    ZoneInfo("Europe/Berlin"),
    timezone(timedelta(hours=5, minutes=30)),
    timezone(-timedelta(hours=3, minutes=30)),
]
# the hours in which clocks change are drawn as often as all others together
CLOCK_CHANGES = [
    datetime(2026, 3, 8, 6, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
]


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value, or nothing: `part` leaves what is None out."""
    return st.none() | strategy


def part(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    """An object of those fields that were drawn; a trailing underscore keeps Python's words apart (`from_`)."""
    return st.fixed_dictionaries(fields).map(lambda drawn: {name.rstrip("_"): value for name, value in drawn.items() if value is not None})


def texts(longest: int = 40) -> st.SearchStrategy[str]:
    """Text for people, in many scripts, as the door leaves it: trimmed, and without spaces that are not plain."""
    letters = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"), include_characters=" ")
    return st.text(letters, min_size=1, max_size=longest).map(str.strip).filter(bool)


def ids() -> st.SearchStrategy[str]:
    """An id as the clinic writes them."""
    return st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9.-]{0,11}\Z")


def decimals(low: int, high: int, places: int = 3) -> st.SearchStrategy[int | Decimal]:
    """Numbers with their digits: 36, 36.8, 36.80."""
    return st.integers(low, high) | st.integers(1, places).flatmap(
        lambda n: st.integers(low * 10**n, high * 10**n).map(lambda i: Decimal(i).scaleb(-n))
    )


def absences() -> st.SearchStrategy[Record]:
    """Why there is no value."""
    return st.sampled_from(ABSENCES).map(lambda reason: {"absent": reason})


def measured(low: int, high: int) -> st.SearchStrategy[Any]:
    """A measured value, or why there is none."""
    return decimals(low, high) | absences()


def quantities(limits: dict[str, int]) -> st.SearchStrategy[Record]:
    """A value with a unit, more than zero and within what the unit allows."""
    return st.sampled_from(sorted(limits)).flatmap(lambda unit: part(value=decimals(1, limits[unit]), unit=st.just(unit)))


def dates() -> st.SearchStrategy[str]:
    """A day."""
    return st.dates(date(1995, 1, 1), date(2100, 12, 31)).map(date.isoformat)


@st.composite
def written(draw: Draw, moment: datetime) -> str:
    """`moment` as text, with an offset and a precision of its own."""
    local = moment.astimezone(draw(st.sampled_from(ZONES)))
    text = local.isoformat(timespec="seconds")
    stem, offset = text[:19], text[19:]
    fraction = draw(st.sampled_from(["", "", "", ".0", ".000", ".000000"]))
    return stem + fraction + ("Z" if offset == "+00:00" and draw(st.booleans()) else offset)


class Clock:
    """Moments within a session, drawn in minutes after its start and written down."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.start = draw(st.sampled_from(CLOCK_CHANGES) | st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
        self.start = self.start.replace(microsecond=0)
        self.minutes = draw(st.integers(30, 600))

    def at(self, minute: int) -> str:
        """The time `minute` minutes after the start."""
        return str(self.draw(written(self.start + timedelta(minutes=minute))))

    def distinct(self, most: int = 4, least: int = 0) -> list[int]:
        """Different minutes of the session, in order."""
        return sorted(self.draw(st.sets(st.integers(0, self.minutes), min_size=least, max_size=most)))

    def pair(self, low: int = 0) -> tuple[str, str | None]:
        """A start and perhaps an end after it, both within the session."""
        first = self.draw(st.integers(low, self.minutes))
        last = self.draw(maybe(st.integers(first, self.minutes)))
        return self.at(first), None if last is None else self.at(last)


def patients() -> st.SearchStrategy[Record]:
    """A person, invented."""
    number = part(system=st.sampled_from(["urn:oid:2.999.1", "urn:oid:2.999.2", "https://mrn.hospital.example"]), value=texts(20))
    address = part(
        lines=st.lists(texts(), min_size=1, max_size=2),
        city=texts(),
        state=maybe(texts()),
        postal_code=maybe(texts(10)),
        country=maybe(texts(10)),
    )
    return part(
        id=ids(),
        hospital_numbers=maybe(st.lists(number, min_size=1, max_size=3, unique_by=lambda row: (row["system"], row["value"]))),
        family_name=texts(),
        given_names=st.lists(texts(), min_size=1, max_size=3),
        birth_date=st.dates(date(1900, 1, 1), date(2019, 12, 1)).map(date.isoformat),
        sex=st.sampled_from(words.SEXES),
        phone=maybe(st.from_regex(r"\A555-01[0-9]{2}\Z")),
        email=maybe(st.from_regex(r"\A[a-z]{1,8}@example\.test\Z")),
        address=maybe(address),
    )


def _readings(clock: Clock, state: st.SearchStrategy[str]) -> list[Record]:
    vitals = {
        "heart_rate": measured(0, 400),
        "respiratory_rate": measured(0, 120),
        "oxygen_saturation": measured(0, 100),
        "temperature": measured(20, 45),
        "weight": measured(1, 650),
        "height": measured(20, 280),
        "mean_pressure": measured(0, 300),
        "blood_pressure": part(systolic=measured(0, 350), diastolic=measured(0, 250)),
    }
    some = part(**{name: maybe(value) for name, value in vitals.items()}).filter(bool)
    return [{"taken_at": clock.at(minute), "state": clock.draw(state)} | clock.draw(some) for minute in clock.distinct()]


def _symptoms(clock: Clock, state: st.SearchStrategy[str]) -> list[Record]:
    score = st.integers(0, 10) | absences()
    some = part(pain=maybe(score), nausea=maybe(score)).filter(bool)
    phase = part(phase=st.sampled_from(words.PHASES), state=state)
    return [{"taken_at": clock.at(minute)} | clock.draw(phase) | clock.draw(some) for minute in clock.distinct(3)]


def _steps(clock: Clock) -> list[Record]:
    minutes = [*clock.distinct(3, least=1), clock.minutes]
    amounts = part(dose=maybe(quantities(DOSES)), rate=maybe(quantities(RATES))).filter(bool)
    steps = []
    for first, last in pairwise(minutes):
        ended = {"ended_at": clock.at(last)} if clock.draw(st.booleans()) else {}
        steps.append({"started_at": clock.at(first)} | ended | clock.draw(amounts))
    return steps


def _reasoned(draw: Draw, state: str) -> Record:
    return draw(part(reason=maybe(st.sampled_from(words.REASONS)))) if state in ("stopped", "not-given") else {}


def _drugs(clock: Clock, numbers: list[str], states: st.SearchStrategy[str], reactions: list[str]) -> list[Record]:
    found = []
    for number in numbers:
        state = clock.draw(states)
        rescue = maybe(st.sampled_from(reactions)) if reactions else st.none()
        row = part(
            id=st.just(number),
            drug=st.sampled_from(DRUGS),
            state=st.just(state),
            for_reaction=rescue,
            route=st.sampled_from(words.ROUTES),
            site=maybe(st.sampled_from(words.SITES)),
            response=maybe(st.sampled_from(words.RESPONSES)),
        )
        found.append(clock.draw(row) | _reasoned(clock.draw, state) | {"steps": _steps(clock)})
    return found


def _fluids(clock: Clock, numbers: list[str], states: st.SearchStrategy[str]) -> list[Record]:
    additive = part(drug=st.sampled_from(DRUGS), amount=quantities(DOSES))
    found = []
    for number in numbers:
        state = clock.draw(states)
        started, ended = clock.pair()
        row = part(
            id=st.just(number),
            fluid=st.sampled_from(FLUIDS),
            state=st.just(state),
            route=st.sampled_from(words.ROUTES),
            site=maybe(st.sampled_from(words.SITES)),
            started_at=st.just(started),
            ended_at=st.just(ended),
            volume=quantities({"mL": 10_000}),
            rate=maybe(quantities(RATES)),
            additives=maybe(st.lists(additive, min_size=1, max_size=2, unique_by=lambda row: row["drug"])),
        )
        found.append(clock.draw(row) | _reasoned(clock.draw, state))
    return found


def _reactions(clock: Clock, names: list[str], suspects: list[str]) -> list[Record]:
    found = []
    for name in names:
        first = clock.draw(st.integers(0, clock.minutes))
        later = [clock.at(clock.draw(st.integers(first, clock.minutes + 600))) for _ in range(2)]
        row = part(
            id=st.just(name),
            reaction=st.sampled_from(REACTIONS),
            started_at=st.just(clock.at(first)),
            ended_at=maybe(st.just(later[0])),
            severity=maybe(st.sampled_from(words.SEVERITIES)),
            outcome=maybe(st.sampled_from(words.OUTCOMES)),
            serious=maybe(st.booleans()),
            suspected_drug=maybe(st.sampled_from(suspects)) if suspects else st.none(),
            action=maybe(st.sampled_from(words.ACTIONS)),
            reported_at=maybe(st.just(later[1])),
            note=maybe(texts()),
        )
        found.append(clock.draw(row))
    return found


def _allergies(clock: Clock) -> st.SearchStrategy[list[Record]]:
    allergy = part(
        id=ids(),
        drug=st.sampled_from(DRUGS),
        kind=st.sampled_from(words.ALLERGY_KINDS),
        certainty=st.sampled_from(words.CERTAINTIES),
        criticality=maybe(st.sampled_from(words.CRITICALITIES)),
        recorded_at=st.just(clock.at(clock.minutes)),
        reaction=maybe(st.sampled_from(REACTIONS)),
    )
    return st.lists(allergy, min_size=1, max_size=2, unique_by=lambda row: row["id"])


def _follow_up(clock: Clock) -> Record:
    status = clock.draw(st.sampled_from(words.APPOINTMENT_STATES))
    timed = status not in ("proposed", "cancelled", "waitlisted") or clock.draw(st.booleans())
    times = {"start": clock.at(clock.minutes + 1440), "end": clock.at(clock.minutes + 1500)} if timed else {}
    reason = maybe(st.sampled_from(words.CANCELLED_BY)) if status == "cancelled" else st.none()
    rest = part(minutes=maybe(st.integers(1, 600)), reason=reason, created=maybe(st.just(clock.at(5))))
    return {"id": clock.draw(ids()), "status": status} | times | clock.draw(rest)


def _series(clock: Clock) -> Record:
    days = clock.draw(st.integers(1, 5))
    first = clock.start.date()
    plan = [
        {
            "day": str(day),
            "appointment_id": f"A-{day}",
            "status": clock.draw(st.sampled_from(words.APPOINTMENT_STATES)),
            "start": clock.at(1440 * day),
            "end": clock.at(1440 * day + 60),
        }
        for day in range(1, days + 1)
    ]
    stay = part(id=ids(), started_at=st.just(clock.at(-60)), ended_at=maybe(st.just(clock.at(clock.minutes + 60))))
    fields = part(
        id=ids(),
        day=st.integers(1, days),
        days=st.just(days),
        status=st.sampled_from(words.SERIES_STATES),
        started_on=maybe(st.just(first.isoformat())),
        ended_on=maybe(st.just((first + timedelta(days=days)).isoformat())),
        goal=maybe(texts()),
        plan=maybe(st.just(plan)),
        stay=maybe(stay),
    )
    return dict(clock.draw(fields))


def _times(clock: Clock, status: str) -> Record:
    if status in ("completed", "stopped"):
        return {"started_at": clock.at(0), "ended_at": clock.at(clock.minutes)}
    return {"started_at": clock.at(0)} if status in ("in-progress", "paused") else {}


def _states(status: str) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """The states that readings and drugs may have in a session of this status."""
    if status == "entered-in-error":
        return st.just(status), st.just(status)
    begun = status in ("completed", "stopped", "in-progress", "paused")
    return st.sampled_from(words.READING_STATES), st.sampled_from(words.DRUG_STATES if begun else ["not-given", "entered-in-error"])


def _head(draw: Draw, clock: Clock, status: str) -> Record:
    version = draw(st.integers(1, 3))
    reason = st.sampled_from(words.REASONS)
    needed = {"stopped": reason, "not-started": reason, "cancelled": reason, "no-show": maybe(reason)}.get(status, st.none())
    fields = part(
        id=ids(),
        version=st.just(version),
        correction=maybe(part(reason=texts(), at=st.just(clock.at(2000)))) if version > 1 else st.none(),
        status=st.just(status),
        status_reason=needed,
        care_setting=st.sampled_from(words.CARE_SETTINGS),
        patient=patients(),
        planned=maybe(st.just({"start": clock.at(-15), "end": clock.at(clock.minutes)})),
        indication=maybe(part(condition=st.sampled_from(CONDITIONS), note=maybe(texts()))),
    )
    return dict(draw(fields))


def _tail(draw: Draw, clock: Clock) -> Record:
    overused = st.lists(
        part(drug=st.sampled_from(DRUGS), days_per_month=st.integers(1, 31)), min_size=1, max_size=2, unique_by=lambda row: row["drug"]
    )
    window = part(from_=st.just("2025-01-01"), to=st.just("2025-01-28"), days=st.integers(0, 28))
    told = st.lists(part(id=ids(), text=texts()), min_size=1, max_size=2, unique_by=lambda row: row["id"])
    fields = part(
        overused_drugs=maybe(overused),
        headache_days=maybe(window),
        allergies=maybe(_allergies(clock)),
        companion=maybe(part(id=ids(), name=maybe(texts()), relationship=st.sampled_from(words.RELATIONSHIPS))),
        instructions=maybe(told),
        outcome=maybe(part(text=texts())),
        referral=maybe(part(id=ids())),
        performer=maybe(part(id=ids(), name=texts())),
    )
    return dict(draw(fields))


def _treatment(draw: Draw, clock: Clock, status: str) -> Record:
    read_states, drug_states = _states(status)
    numbers = [f"{number:02}" for number in range(1, draw(st.integers(0, 4)) + 1)]
    cut = draw(st.integers(0, len(numbers)))
    reactions = [f"R{number}" for number in range(1, draw(st.integers(0, 2)) + 1)]
    found = {
        "readings": _readings(clock, read_states),
        "symptoms": _symptoms(clock, read_states),
        "drugs": _drugs(clock, numbers[:cut], drug_states, reactions),
        "fluids": _fluids(clock, numbers[cut:], drug_states),
        "reactions": _reactions(clock, reactions, numbers),
    }
    return {name: rows for name, rows in found.items() if rows}


@st.composite
def sessions(draw: Draw, statuses: tuple[str, ...] = words.SESSION_STATES) -> Record:
    """A whole session in normal form."""
    clock = Clock(draw)
    status = draw(st.sampled_from(statuses))
    record = _head(draw, clock, status) | _times(clock, status) | _treatment(draw, clock, status) | _tail(draw, clock)
    if draw(st.booleans()):
        record["follow_up"] = _follow_up(clock)
    if draw(st.booleans()):
        record["series"] = _series(clock)
    return records.load("session", record)


@st.composite
def appointments(draw: Draw) -> Record:
    """A follow-up appointment on its own, in normal form."""
    follow_up = _follow_up(Clock(draw))
    fields = part(id=st.just(follow_up["id"]), patient=patients(), follow_up=st.just(follow_up), session=maybe(part(id=ids())))
    return records.load("appointment", draw(fields))


ORDERED_BY_SENDER = {"given_names", "lines"}


@st.composite
def shuffled(draw: Draw, record: Any) -> Any:
    """`record` as another clinic system may send it: fields and keyed lists in any order, empty lists where there is nothing."""
    if isinstance(record, dict):
        names = draw(st.permutations(list(record)))
        return {name: record[name] if name in ORDERED_BY_SENDER else draw(shuffled(record[name])) for name in names}
    if isinstance(record, list):
        return draw(st.permutations([draw(shuffled(row)) for row in record]))
    return record

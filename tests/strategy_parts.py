"""The parts of generated records that do not depend on time: words, texts, numbers with their digits, people, measured values.

Each is made once, here: Hypothesis examines every new strategy, which costs more than drawing from it.
"""

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from fhir_bridge.clinic import words
from fhir_bridge.clinic.quantities import ABSENCES
from fhir_bridge.clinic.units import DOSES, RATES

CODES = Path(__file__).parents[1] / "mappings" / "codes"
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
TREATMENTS = _table("treatments", "infusion eptinezumab dihydroergotamine")


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value, or nothing: `part` leaves what is None out."""
    return st.none() | strategy


def part(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    """An object of those fields that were drawn; a trailing underscore keeps Python's words apart (`from_`)."""
    return st.fixed_dictionaries(fields).map(lambda drawn: {name.rstrip("_"): value for name, value in drawn.items() if value is not None})


@cache
def texts(longest: int = 40) -> st.SearchStrategy[str]:
    """Text for people, in many scripts, as the door leaves it: trimmed, and without spaces that are not plain."""
    letters = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"), include_characters=" ")
    return st.text(letters, min_size=1, max_size=longest).map(str.strip).filter(bool)


@cache
def ids() -> st.SearchStrategy[str]:
    """An id as the clinic writes them."""
    return st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9.-]{0,11}\Z")


@cache
def decimals(low: int, high: int, places: int = 3) -> st.SearchStrategy[int | Decimal]:
    """Numbers with their digits: 36, 36.8, 36.80."""
    return st.integers(low, high) | st.integers(1, places).flatmap(
        lambda n: st.integers(low * 10**n, high * 10**n).map(lambda i: Decimal(i).scaleb(-n))
    )


@cache
def absences() -> st.SearchStrategy[Record]:
    """Why there is no value."""
    return st.sampled_from(ABSENCES).map(lambda reason: {"absent": reason})


@cache
def measured(low: int, high: int) -> st.SearchStrategy[Any]:
    """A measured value, or why there is none."""
    return decimals(low, high) | absences()


def quantities(limits: dict[str, int]) -> st.SearchStrategy[Record]:
    """A value with a unit, more than zero and within what the unit allows."""
    return st.one_of(*(part(value=decimals(1, most), unit=st.just(unit)) for unit, most in sorted(limits.items())))


def rows(key: str, most: int = 2, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Record]]:
    """One or more objects, no two with the same `key`."""
    return st.lists(part(**fields), min_size=1, max_size=most, unique_by=lambda row: str(row[key]))


SYSTEMS = ["urn:oid:2.999.1", "urn:oid:2.999.2", "https://mrn.hospital.example"]
DOSE, RATE, VOLUME = quantities(DOSES), quantities(RATES), quantities({"mL": 10_000})
REASON = st.sampled_from(words.REASONS)
PATIENT = part(
    id=ids(),
    hospital_numbers=maybe(rows("system", 3, system=st.sampled_from(SYSTEMS), value=texts(20))),
    family_name=texts(),
    given_names=st.lists(texts(), min_size=1, max_size=3),
    birth_date=st.dates(date(1900, 1, 1), date(2019, 12, 1)).map(date.isoformat),
    sex=st.sampled_from(words.SEXES),
    phone=maybe(st.from_regex(r"\A555-01[0-9]{2}\Z")),
    email=maybe(st.from_regex(r"\A[a-z]{1,8}@example\.test\Z")),
    address=maybe(
        part(
            lines=st.lists(texts(), min_size=1, max_size=2),
            city=texts(),
            state=maybe(texts()),
            postal_code=maybe(texts(10)),
            country=maybe(texts(10)),
        )
    ),
)
VITALS = part(
    heart_rate=maybe(measured(0, 400)),
    respiratory_rate=maybe(measured(0, 120)),
    oxygen_saturation=maybe(measured(0, 100)),
    temperature=maybe(measured(20, 45)),
    weight=maybe(measured(1, 650)),
    height=maybe(measured(20, 280)),
    mean_pressure=maybe(measured(0, 300)),
    blood_pressure=maybe(part(systolic=measured(0, 350), diastolic=measured(0, 250))),
).filter(bool)
SCORE = st.integers(0, 10) | absences()
SCORES = part(pain=maybe(SCORE), nausea=maybe(SCORE)).filter(bool)
PHASE = st.sampled_from(words.PHASES)
AMOUNTS = part(dose=maybe(DOSE), rate=maybe(RATE)).filter(bool)
WAY = {"route": st.sampled_from(words.ROUTES), "site": maybe(st.sampled_from(words.SITES))}
DRUG = part(drug=st.sampled_from(DRUGS), response=maybe(st.sampled_from(words.RESPONSES)), **WAY)
ADDITIVES = rows("drug", drug=st.sampled_from(DRUGS), amount=DOSE)
FLUID = part(fluid=st.sampled_from(FLUIDS), volume=VOLUME, rate=maybe(RATE), additives=maybe(ADDITIVES), **WAY)
REACTION = part(
    reaction=st.sampled_from(REACTIONS),
    severity=maybe(st.sampled_from(words.SEVERITIES)),
    outcome=maybe(st.sampled_from(words.OUTCOMES)),
    seriousness=maybe(st.sampled_from(words.SERIOUSNESS)),
    action=maybe(st.sampled_from(words.ACTIONS)),
    note=maybe(texts()),
)
ALLERGY = part(
    drug=st.sampled_from(DRUGS),
    kind=st.sampled_from(words.ALLERGY_KINDS),
    certainty=st.sampled_from(words.CERTAINTIES),
    criticality=maybe(st.sampled_from(words.CRITICALITIES)),
    reaction=maybe(st.sampled_from(REACTIONS)),
)
INDICATION = part(condition=st.sampled_from(CONDITIONS), note=maybe(texts()))
REST = part(
    overused_drugs=maybe(rows("drug", drug=st.sampled_from(DRUGS), days_per_month=st.integers(1, 31))),
    headache_days=maybe(part(from_=st.just("2025-01-01"), to=st.just("2025-01-28"), days=st.integers(0, 28))),
    companion=maybe(part(id=ids(), name=maybe(texts()), relationship=st.sampled_from(words.RELATIONSHIPS))),
    instructions=maybe(rows("id", id=ids(), text=texts())),
    outcome=maybe(part(text=texts())),
    referral=maybe(part(id=ids())),
    performer=maybe(part(id=ids(), name=texts())),
)
URI = st.sampled_from(SYSTEMS)
REQUESTER = part(id=maybe(texts()), name=texts(), organization=maybe(texts()), phone=maybe(st.from_regex(r"\A555-01[0-9]{2}\Z")))
ATTACHMENT = {
    "title": texts(),
    "content_type": st.sampled_from(["application/pdf", "image/jpeg"]),
    "sha256": maybe(st.from_regex(r"\A[0-9a-f]{64}\Z")),
}
REFERRAL = part(
    id=ids(),
    version=maybe(st.integers(1, 9)),
    urgency=st.sampled_from(words.URGENCIES),
    indication=maybe(INDICATION),
    requested=part(treatment=st.sampled_from(TREATMENTS), note=maybe(texts())),
    requester=REQUESTER,
    insurance=maybe(texts()),
    placer=maybe(part(system=URI, value=texts(20))),
    attachments=maybe(rows("id", id=ids(), **ATTACHMENT)),
    sessions=maybe(rows("id", id=ids())),
    summaries=maybe(rows("id", id=ids())),
)

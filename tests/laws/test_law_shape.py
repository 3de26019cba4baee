"""What one record proves holds for all of its shape: another value changes no element and no code, and nothing that R4 looks at."""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
import strategies
from law_cases import APPOINTMENTS, CASES, SESSIONS, SHIPPED, Record, law, leaves, story

from fhir_bridge.clinic import records
from fhir_bridge.errors import Refused
from fhir_bridge.fhir import check

KINDS = {"session": SESSIONS, "appointment": APPOINTMENTS, "referral": strategies.referrals()}
ANY = st.one_of(*(st.tuples(st.just(kind), made) for kind, made in KINDS.items()))

VISIT = story(next(case for case in CASES if (case.parent.name, case.stem) == ("monitored-clinic-visit", "session-1")))


def shape(kind: str, record: Record) -> int:
    return hash(records.OURS.shape(kind, record))


def others(kind: str, record: Record) -> Iterator[Record]:
    """The record with another value in one leaf, for each leaf where there is another that the clinic may send; its shape stays."""
    for path, value in leaves(record):
        changed = deepcopy(record)
        place: Any = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = _another(value)
        try:
            loaded = records.load(kind, changed)
        except Refused:
            continue
        if shape(kind, loaded) == shape(kind, record):
            yield loaded


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | Decimal):
        return value + 1
    try:
        return (datetime.fromisoformat(value) + timedelta(minutes=1)).isoformat() if len(value) > 10 else f"{value[:-1]}7"
    except (TypeError, ValueError):
        return f"{value}7"


def skeletons(record: Record) -> Counter[str]:
    return Counter(str(_skeleton(resource)) for resource in SHIPPED.to_fhir(record).resources)


def _skeleton(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {inner: _skeleton(value[inner], inner) for inner in sorted(value)}
    if isinstance(value, list):
        return [_skeleton(one, name) for one in value]
    return value if name in ("resourceType", "code", "status") else None


@law(told=ANY)
def test_another_value_changes_no_element_and_no_code(told: tuple[str, Record]) -> None:
    kind, record = told
    for other in others(kind, record):
        assert skeletons(other) == skeletons(record)
        assert [str(fault) for one in SHIPPED.to_fhir(other).resources for fault in check.faults(one, sending=True)] == []


@law(record=KINDS["referral"])
def test_every_resource_of_a_referral_passes_the_check(record: Record) -> None:
    assert [str(fault) for one in SHIPPED.to_fhir(record).resources for fault in check.faults(one, sending=True)] == []


@pytest.mark.parametrize(("field", "value"), [("status", "stopped"), ("readings", None), ("drugs", None)])
def test_another_word_or_another_field_is_another_shape(field: str, value: str | None) -> None:
    changed = {name: one for name, one in VISIT.items() if name != field} | ({field: value} if value else {})
    assert shape("session", changed) != shape("session", VISIT)


def test_how_many_readings_there_are_is_no_part_of_the_shape() -> None:
    assert shape("session", VISIT | {"readings": [*VISIT["readings"], VISIT["readings"][-1]]}) == shape("session", VISIT)

"""The judge is judged: a planted loss, a planted duplicate and a planted swap are each found, and nothing is found where nothing is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from rehearsal import Forks, Rehearsal, ward

from fhir_bridge.sandbox.ledger import Ledger, Told, balance, out_of_order
from fhir_bridge.sandbox.store import Version
from fhir_bridge.sandbox.traffic import PARTS, Visit
from fhir_bridge.store.database import Store

WORDS = ("Communication", "DocumentReference")


@dataclass(frozen=True)
class Day:
    """What clients were told and what the hospital wrote down: two sessions of one patient, the first corrected, and one of another."""

    like: str
    told: list[Told]
    log: list[Version]

    def last(self, *kinds: str) -> Version:
        """The last that was written of a type, and says whose it is if it says anything."""
        return next(version for version in reversed(self.log) if version.type in kinds)

    def ledger(self, *planted: Version, told: tuple[Told, ...] = (), stopped: dict[str, str] | None = None) -> Ledger:
        return balance([*self.told, *told], [*self.log, *planted], parts=PARTS[self.like], stopped=stopped or {})


@pytest.fixture(scope="module", params=["hapi", "epic", "oracle"])
def day(request: pytest.FixtureRequest, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    url, like = f"sqlite:///{tmp_path_factory.mktemp('ledger')}/bridge.db", request.param
    store = Store(url)
    store.upgrade()
    store.close()
    with ward(like) as hospital:
        run = Rehearsal(url, hospital, forks)
        for visits in ([Visit(number, patient=number // 2, like=like) for number in range(3)], [Visit(0, patient=0, version=2, like=like)]):
            run.accept(*visits)
            assert run.drain() == 0
        yield Day(like, run.told, hospital.chart.log)


def test_when_all_went_well_the_ledger_is_exact(day: Day) -> None:
    assert day.ledger() == Ledger(accepted=3, held=3, stopped={}, lost=(), duplicated=(), swapped=())
    assert day.ledger().exact
    assert out_of_order(day.told[:3], day.log) == []


@pytest.mark.parametrize("kinds", [("Observation",), ("Procedure",), WORDS])
def test_a_part_that_is_gone_is_a_loss(day: Day, kinds: tuple[str, ...]) -> None:
    ledger = day.ledger(replace(day.last(*kinds), document=None))
    assert (ledger.held, ledger.exact, len(ledger.lost)) == (2, False, 1)


def test_a_record_that_never_came_is_a_loss_unless_a_person_is_shown_it(day: Day) -> None:
    never = Visit(7, patient=7).told()
    assert [word.partition(":")[0] for word in day.ledger(told=(never,)).lost] == ["S-R-7"]
    shown = day.ledger(told=(never,), stopped={"S-R-7": "refused"})
    assert (shown.lost, shown.stopped, shown.held) == ((), {"S-R-7": "refused"}, 3)


def test_a_newer_version_that_never_came_is_a_loss(day: Day) -> None:
    assert day.ledger(told=(Visit(0, patient=0, version=3).told(),)).lost == ("S-R-0: version 2, not 3",)


@pytest.mark.parametrize("kinds", [("Patient",), ("Procedure", "Encounter"), ("Observation",), WORDS])
def test_a_second_resource_of_one_identity_is_a_duplicate(day: Day, kinds: tuple[str, ...]) -> None:
    ledger = day.ledger(replace(day.last(*kinds), id="planted"))
    assert (len(ledger.duplicated), ledger.exact) == (1, False)


def test_an_old_version_after_a_new_one_is_a_swap(day: Day) -> None:
    old = next(version for version in day.log if version.type in WORDS)
    assert day.ledger(old).swapped == ("S-R-0: version 1 after 2",)


def test_sessions_of_one_patient_in_the_wrong_order_are_found(day: Day) -> None:
    first, second, other = day.told[:3]
    assert out_of_order([second, first, other], day.log) == [first.patient]

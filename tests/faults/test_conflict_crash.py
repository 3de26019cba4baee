"""SIGKILL where a conflict is written down: the next pull writes each once, and nothing of it is applied or lost."""

import signal

import pytest
from rehearsal import HOUR, Forks, Rehearsal, Ward, accepting, ward

from fhir_bridge import documents
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store import conflicts, records
from fhir_bridge.store.conflicts import Conflict

POINTS = ("P5",)
HITS = (1, 2, 3)
PATIENTS = 3
CHANGED = 201


def contradicted(hospital: Ward) -> None:
    """The hospital changes one measured value of every patient, which is the clinic's field."""
    seen = set()
    with hospital.chart.draft() as draft:
        for version in list(draft.every("Observation")):
            assert version.document
            subject = version.document["subject"]["reference"]
            if "valueQuantity" in version.document and subject not in seen:
                seen.add(subject)
                value = version.document["valueQuantity"] | {"value": CHANGED}
                draft.write("Observation", version.id, document=version.document | {"valueQuantity": value}, method="PUT")


def written_down(run: Rehearsal) -> tuple[list[Conflict], set[int]]:
    """The conflicts, and the versions of all records."""
    bridge = accepting(run.database)
    with bridge.store.reading() as tx:
        found = conflicts.listing(tx, "default", state=None)
        versions = {row.version for row in records.listing(tx, tenant="default", kind="session")}
    bridge.store.close()
    return found, versions


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", POINTS)
def test_a_pull_killed_where_it_writes_a_conflict_down_writes_each_once(forks: Forks, database_url: str, point: str, hit: int) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number) for number in range(PATIENTS)))
        assert run.drain() == 0
        contradicted(hospital)
        assert forks.run(**run.order("pull", fault=f"{point}:kill:{hit}")) == -signal.SIGKILL, f"{point} was not reached {hit} times"
        run.shift += HOUR  # the killed puller's lease is over
        assert forks.run(**run.order("pull")) == 0
        found, versions = written_down(run)
        assert [(one.state, documents.loads(one.their_value or b"null")) for one in found] == [("open", CHANGED)] * PATIENTS
        assert versions == {1}
        run.shift += HOUR
        assert forks.run(**run.order("pull")) == 0
        assert written_down(run) == (found, versions)

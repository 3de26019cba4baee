"""SIGKILL at every named point of the pull: the next one goes on, each change is applied once, and repeating it changes nothing."""

import signal
from typing import Any

import pytest
from rehearsal import HOUR, Forks, Rehearsal, Ward, accepting, ward
from sqlalchemy import select

from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store import pulls
from fhir_bridge.store.pull_tables import pulled
from fhir_bridge.store.tables import audit, links, records

POINTS = ("P1", "P2", "P3", "P3-committed", "P4")
HITS = (1, 2, 3)
PATIENTS = 3


def renamed(hospital: Ward) -> None:
    """The hospital corrects every patient's name, and deletes one reading."""
    with hospital.chart.draft() as draft:
        for version in list(draft.every("Patient")):
            assert version.document
            name = version.document["name"][0] | {"family": "Corrected"}
            draft.write("Patient", version.id, document=version.document | {"name": [name]}, method="PUT")
        reading = next(iter(draft.every("Observation")))
        draft.write("Observation", reading.id, document=None, method="DELETE")


def held(run: Rehearsal) -> dict[str, Any]:
    """Everything a pull writes, but for when."""
    bridge = accepting(run.database)
    with bridge.store.reading() as tx:
        found = {
            "records": tx.rows(select(records.c.kind, records.c.id, records.c.version, records.c.sha256).order_by(records.c.id)),
            "told": sorted(
                tuple(row) for row in tx.rows(select(audit.c.action, audit.c.subject).where(audit.c.actor == "hospital:general"))
            ),
            "seen": tx.rows(select(pulled.c.type, pulled.c.id, pulled.c.version).order_by(pulled.c.type, pulled.c.id)),
            "gone": [theirs for theirs, _ in pulls.tombstones(tx, "default", "general")],
            "links": tx.rows(select(links.c.ours, links.c.version).order_by(links.c.ours)),
        }
    bridge.store.close()
    return found


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", POINTS)
def test_a_pull_killed_at_any_point_applies_each_change_once(forks: Forks, database_url: str, point: str, hit: int) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number) for number in range(PATIENTS)))
        assert run.drain() == 0
        renamed(hospital)
        assert forks.run(**run.order("pull", fault=f"{point}:kill:{hit}")) == -signal.SIGKILL, f"{point} was not reached {hit} times"
        run.shift += HOUR  # the killed puller's lease is over
        assert forks.run(**run.order("pull")) == 0
        after = held(run)
        assert [row.version for row in after["records"]].count(2) == PATIENTS
        assert (len(after["told"]), len(after["gone"])) == (PATIENTS + 1, 1)
        run.shift += HOUR
        assert forks.run(**run.order("pull")) == 0
        assert held(run) == after

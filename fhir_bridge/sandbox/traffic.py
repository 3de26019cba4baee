"""A clinic's day, plainly invented: sessions whose every version says in words which it is, so that a ledger can find it again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_bridge.sandbox.ledger import Told

DAY = datetime(2026, 3, 10, 8, tzinfo=UTC)
# What of one session each hospital holds as a resource of its own; athenahealth takes nothing, all of it is left to a person.
PARTS: dict[str, dict[str, int]] = {
    "hapi": {"Encounter": 1, "Procedure": 1, "Observation": 2, "Communication": 1, "DocumentReference": 1},
    "epic": {"DocumentReference": 1, "Procedure": 1, "Observation": 2, "Communication": 1},
    "oracle": {"Encounter": 1, "Procedure": 1, "Observation": 2, "DocumentReference": 1},
    "athena": {},
}
# What has to be set up for the bridge at such a hospital (`rules` of its table in the settings).
RULES: dict[str, dict[str, Any]] = {"oracle": {"references": {"location": "Location/21", "performer": "Practitioner/22"}}}


@dataclass(frozen=True, slots=True)
class Visit:
    """One session of one invented patient: the `number`-th of all, in its `version`; `readings` makes it longer.

    `like` is the hospital it is meant for: its words go where that one takes them and can be asked for them again.
    """

    number: int
    patient: int
    version: int = 1
    readings: int = 1
    like: str = "hapi"
    run: str = "R"
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"S-{self.run}-{self.number}")

    @property
    def moment(self) -> datetime:
        """When its first reading was taken: no other session has one at that second."""
        return DAY + timedelta(minutes=self.number)

    def told(self) -> Told:
        """The line of the ledger when a client was told that this was accepted."""
        return Told(self.id, self.version, f"P-{self.run}-{self.patient}", self._moments())

    def _moments(self) -> tuple[datetime, ...]:
        return tuple(self.moment + timedelta(seconds=second) for second in range(self.readings))

    def document(self) -> dict[str, Any]:
        """The record as the clinic posts it."""
        patient = f"P-{self.run}-{self.patient}"
        record: dict[str, Any] = {
            "id": self.id,
            "version": self.version,
            "status": "completed",
            "patient": {
                "id": patient,
                "family_name": f"Synthetic-{self.patient}",
                "given_names": ["Rehearsia"],
                "birth_date": "1990-01-01",
                "sex": "female",
            },
            "started_at": self.moment.isoformat(),
            "ended_at": (self.moment + timedelta(hours=1)).isoformat(),
            "readings": [self._reading(moment) for moment in self._moments()],
        } | self._words(f"Rehearsed {self.id} version {self.version}")
        if self.version > 1:
            record["correction"] = {"reason": "Rehearsed", "at": (self.moment + timedelta(days=1)).isoformat()}
        return record

    def _words(self, text: str) -> dict[str, Any]:
        # Oracle Health takes a Communication and has no search for it: after a lost answer only a person could look
        return {"outcome": {"text": text}} if self.like == "oracle" else {"instructions": [{"id": "01", "text": text}]}

    def _reading(self, moment: datetime) -> dict[str, Any]:
        return {
            "taken_at": moment.isoformat(),
            "heart_rate": 60 + self.version % 60,
            "blood_pressure": {"systolic": 120, "diastolic": 80},
        }


def fixed() -> list[dict[str, Any]]:
    """What a hospital holds before we come, and `RULES` names."""
    return [
        {"resourceType": "Location", "id": "21", "name": "Rehearsal ward"},
        {"resourceType": "Practitioner", "id": "22", "name": [{"family": "Rehearsal"}]},
    ]

"""A small session, of a person who looks invented."""

from typing import Any

SESSION: dict[str, Any] = {
    "id": "S-WEB-1",
    "status": "completed",
    "patient": {
        "id": "P-WEB-1",
        "family_name": "Testperson",
        "given_names": ["Zebra"],
        "birth_date": "1980-01-01",
        "sex": "female",
    },
    "started_at": "2026-03-02T09:00:00-05:00",
    "ended_at": "2026-03-02T11:00:00-05:00",
    "readings": [{"taken_at": "2026-03-02T09:15:00-05:00", "heart_rate": 72}],
}

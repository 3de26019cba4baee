"""What the rows work on: a fixture's session, and the same with as many readings as a row wants."""

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records

ROOT = Path(__file__).parents[2]
MONITORED = ROOT / "fixtures" / "cases" / "monitored-clinic-visit" / "session-1.json"


@cache
def session() -> dict[str, Any]:
    """A completed session with 18 readings, drugs, a fluid and a follow-up, as the door hands it on."""
    return records.load("session", documents.loads(MONITORED.read_bytes()), zone=None)


def with_readings(count: int) -> dict[str, Any]:
    """The session with nothing but `count` readings, a second apart, each with the same five values."""
    start = datetime.fromisoformat(session()["started_at"])
    reading = {name: value for name, value in session()["readings"][1].items() if name != "taken_at"}
    taken = ((start + timedelta(seconds=second)).isoformat() for second in range(count))
    kept = ("id", "version", "status", "care_setting", "patient", "started_at", "ended_at")
    return {name: session()[name] for name in kept} | {"readings": [{"taken_at": at} | reading for at in taken]}

"""The outbox's rows as values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one lane until `until`. `probe`: the hospital's breaker is half open; one delivery, then report."""

    tenant: str
    hospital: str
    lane: str
    token: int
    until: datetime
    worker: str
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One version of one record on its way to one hospital. `detail` is the caller's JSON; `retries` counts what was its own fault."""

    tenant: str
    hospital: str
    lane: str
    seq: int
    kind: str
    record_id: str
    version: int
    state: str
    reason: str | None
    detail: bytes | None
    attempts: int
    retries: int
    worker_deaths: int
    created_at: datetime
    changed_at: datetime
    next_at: datetime | None
    decided_by: str | None
    closed_at: datetime | None

    @property
    def id(self) -> str:
        """The name people and programs say: `hospital/lane/seq`."""
        return f"{self.hospital}/{self.lane}/{self.seq}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a hospital. `outcome` is None while nobody knows how it ended."""

    tenant: str
    hospital: str
    lane: str
    seq: int
    number: int
    step: str
    request_id: str
    body_sha256: str
    worker: str
    token: int
    started_at: datetime
    outcome: str | None = None
    detail: bytes | None = None
    ended_at: datetime | None = None

"""Referrals that hospitals sent: each message byte for byte with the answer it got, and each referral's standing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, insert, or_, select

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.referral_tables import referrals, referrals_raw

_KEEP = Prepared(insert(referrals_raw))


@dataclass(frozen=True, slots=True)
class Message:
    """What came in. `request_id` and `correlation_id` are its `X-Request-ID` and `X-Correlation-ID`, `message_id` the identifier of its
    MessageHeader or Bundle.

    `answer` is the JSON of the reply and `status` its HTTP status; `referral` is None for one that was refused.
    """

    tenant: str
    id: str
    client: str
    route: str
    received_at: datetime
    body: bytes
    sha256: str
    request_id: str | None
    message_id: str | None
    referral: str | None
    status: int
    answer: bytes
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One referral: who sent it, the ids of its ServiceRequest, Task and Patient, where it stands; when it was ordered and last changed."""

    tenant: str
    id: str
    client: str
    service_request: str
    task: str
    status: str
    received_at: datetime
    patient: str
    authored_at: datetime | None
    updated_at: datetime


_STANDING = select(*(referrals.c[name] for name in Standing.__slots__)).where(
    referrals.c.tenant == bindparam("tenant"), referrals.c.id == bindparam("id")
)


def keep(tx: Transaction, message: Message) -> None:
    """Keeps a message for good."""
    tx.run(_KEEP, **{name: getattr(message, name) for name in Message.__slots__})


def answered(tx: Transaction, tenant: str, client: str, *, request_id: str | None = None, message_id: str | None = None) -> Message | None:
    """The first message of this sender under this id that was taken; a refused one may be mended and sent again."""
    name, value = ("request_id", request_id) if request_id else ("message_id", message_id)
    if not value:
        return None
    return next((Message(*row) for row in tx.run(_ANSWERED[name], of_tenant=tenant, of_client=client, value=value).rows), None)


def message(tx: Transaction, tenant: str, id: str) -> Message:
    """One message that is there."""
    return Message(*tx.execute(_messages().where(referrals_raw.c.tenant == tenant, referrals_raw.c.id == id)).one())


def messages_of(tx: Transaction, tenant: str, referral: str) -> list[Message]:
    """What came in about one referral, the first first."""
    found = _messages().where(referrals_raw.c.tenant == tenant, referrals_raw.c.referral == referral)
    return tx.every(Message, found.order_by(referrals_raw.c.received_at, referrals_raw.c.id))


def stand(tx: Transaction, standing: Standing) -> bool:
    """A new referral; harmless for one that is there. True if it was new."""
    return tx.insert_or_ignore(referrals, **{name: getattr(standing, name) for name in Standing.__slots__})


def standing(tx: Transaction, tenant: str, id: str) -> Standing | None:
    """One referral."""
    return tx.one(Standing, _STANDING, tenant=tenant, id=id)


def unfinished(tx: Transaction, tenant: str, over: Collection[str]) -> list[Standing]:
    """Those that stand in none of the states `over`."""
    found = select(*(referrals.c[name] for name in Standing.__slots__))
    return tx.every(Standing, found.where(referrals.c.tenant == tenant, referrals.c.status.not_in(sorted(over))))


def by_resource(tx: Transaction, tenant: str, client: str, resource_id: str) -> Standing | None:
    """The sender's referral whose ServiceRequest or Task has this id; nobody else's."""
    found = select(*(referrals.c[name] for name in Standing.__slots__)).where(referrals.c.tenant == tenant, referrals.c.client == client)
    return tx.one(Standing, found.where(or_(referrals.c.service_request == resource_id, referrals.c.task == resource_id)))


def listing(
    tx: Transaction, tenant: str, *, status: str | None = None, after: tuple[datetime, str] | None = None, limit: int = 50
) -> list[Standing]:
    """The newest first; `after` the (received_at, id) of the last one seen continues a page."""
    found = select(*(referrals.c[name] for name in Standing.__slots__)).where(referrals.c.tenant == tenant)
    if status:
        found = found.where(referrals.c.status == status)
    if after:
        found = found.where(
            or_(
                referrals.c.received_at < after[0],
                (referrals.c.received_at == after[0]) & (referrals.c.id < after[1]),
            )
        )
    return tx.every(Standing, found.order_by(referrals.c.received_at.desc(), referrals.c.id.desc()).limit(limit))


def _messages() -> Select[*tuple[Any, ...]]:
    return select(*(referrals_raw.c[each] for each in Message.__slots__))


def _answered_under(name: str) -> Prepared:
    """The first message of a sender that was taken, by this column."""
    of_sender = (referrals_raw.c.tenant == bindparam("of_tenant"), referrals_raw.c.client == bindparam("of_client"))
    found = _messages().where(*of_sender, referrals_raw.c[name] == bindparam("value"), referrals_raw.c.referral.is_not(None))
    return Prepared(found.order_by(referrals_raw.c.received_at).limit(1))


_ANSWERED = {name: _answered_under(name) for name in ("request_id", "message_id")}

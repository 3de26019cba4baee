"""Finding referrals, on both databases: by name, by column, by time, page by page, and only the sender's own."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_bridge.store import records, referral_search, referrals
from fhir_bridge.store.database import Store
from fhir_bridge.store.referral_search import AnyOf, Name, Named, OneOf, Within
from fhir_bridge.store.referrals import Standing

START = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def kept(store: Store) -> Store:
    """A, B and C of one sender, an hour apart, A and B of one patient; D is another sender's; C has no time of its order."""
    with store.transaction() as tx:
        for hour, (id, client, patient) in enumerate([("A", "one", "P"), ("B", "one", "P"), ("C", "one", "Q"), ("D", "two", "P")]):
            at = START + timedelta(hours=hour)
            authored = None if id == "C" else at
            referrals.stand(tx, Standing("north", id, client, f"order-{id}", f"task-{id}", "received", at, patient, authored, at))
            referral_search.name(tx, "north", client, id, [Name("ServiceRequest", "urn:x", f"N-{id}"), Name("Patient", "urn:p", patient)])
    return store


def found(store: Store, *wanted: AnyOf, client: str = "one", **how: object) -> str:
    with store.reading() as tx:
        return "".join(one.id for one in referral_search.found(tx, "north", client, wanted, **how))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "letters"),
    [
        ((), "CBA"),
        ((OneOf("service_request", ("order-A", "order-D")),), "A"),
        ((OneOf("status", ()),), ""),
        ((Named("ServiceRequest", "urn:x", "N-B"),), "B"),
        ((Named("ServiceRequest", None, "N-B"), Named("Patient", None, "Q")), "CB"),
        ((Named("Patient", "urn:other", "P"),), ""),
        ((Within("updated_at", START + timedelta(hours=1)),), "CB"),
        ((Within("updated_at", None, START + timedelta(hours=1)),), "A"),
        ((Within("authored_at", START, START + timedelta(hours=1)),), "A"),
        ((Within("authored_at", START, START + timedelta(hours=1), outside=True),), "B"),
    ],
)
def test_each_condition_finds_what_it_says(kept: Store, wanted: AnyOf, letters: str):
    assert found(kept, *([wanted] if wanted else [])) == letters


def test_pages_follow_each_other_both_ways(kept: Store):
    assert found(kept, limit=2) == "CB"
    assert found(kept, after=(START + timedelta(hours=1), "B"), limit=2) == "A"
    assert found(kept, newest_first=False, after=(START, "A")) == "BC"


def test_of_each_patient_the_referral_that_changed_last_can_be_asked_for(kept: Store):
    assert found(kept, once=True) == "CB"


def test_a_referral_is_found_as_it_is_now_and_not_as_it_was(kept: Store):
    now = START + timedelta(days=1)
    with kept.transaction() as tx:
        called = [Name("ServiceRequest", "urn:x", "N-A"), Name("Patient", "urn:p", "R")]
        referral_search.follow(tx, "north", "A", called=called, status="declined", patient="R", authored_at=None, now=now)
        referral_search.follow(tx, "north", "nobody's", called=called, status="declined", patient="R", authored_at=None, now=now)
    assert found(kept) == "ACB"
    assert found(kept, (Named("Patient", None, "P"),)) == "B"
    assert found(kept, (Named("Patient", None, "R"),)) == "A"
    assert found(kept, (OneOf("status", ("declined",)),)) == "A"


def test_the_newest_versions_of_many_records_are_read_at_once_in_the_order_asked_for(store: Store):
    with store.transaction() as tx:
        for id, version in (("A", 1), ("A", 2), ("B", 1)):
            records.put(
                tx, tenant="north", kind="session", id=id, version=version, patient="P", document=b"{}", sha256=f"{id}{version}", now=START
            )
        newest = records.newest(tx, "north", [("session", "B"), ("session", "none"), ("session", "A")])
        assert [(one.id, one.version) for one in newest] == [("B", 1), ("A", 2)]
        assert records.newest(tx, "north", []) == []

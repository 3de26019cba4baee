"""Patients known and referrals matched, on both databases: read from the audit trail in its order, each row once; fetches leased."""

from datetime import timedelta

from store_rows import NOON as NOW

from fhir_bridge.store import audit, fetches, matches, senders
from fhir_bridge.store.database import Store
from fhir_bridge.store.fetches import Fetch
from fhir_bridge.store.matches import Known, Match
from fhir_bridge.store.senders import Sender

KEY = b"a key of the test"


def _did(store: Store, *subjects: str, actor: str = "clinic") -> None:
    for subject in subjects:
        with store.transaction() as tx:
            audit.write(tx, tenant="north", actor=actor, action="accept", subject=subject, detail={}, now=tx.now, key=KEY)


def _know(store: Store, patient: str, *numbers: tuple[str, str], born: str = "1980-01-01", family: str = "rowan", after: int = 0) -> None:
    with store.transaction() as tx:
        matches.know(tx, "north", [(Known(patient, born, family, b"{}"), numbers)], after=after, read=after)


def test_the_trail_is_read_once_in_its_order_and_what_workers_wrote_is_passed_over(store: Store) -> None:
    _did(store, "session/S-1", "hospital/general", "referral/R-1", "session/S-1")
    _did(store, "session/S-2", actor="worker")
    with store.transaction() as tx:
        assert matches.unread(tx, "north", 3) == (0, 3, [("session", "S-1"), ("referral", "R-1")])
        matches.know(tx, "north", [], after=0, read=3)
        assert matches.unread(tx, "north", 3) == (3, 5, [("session", "S-1")])
        matches.know(tx, "north", [], after=3, read=5)
        assert matches.unread(tx, "north", 3) == (5, 5, [])
        assert matches.unread(tx, "south", 3) == (0, 0, [])


def test_a_patient_is_found_by_a_number_of_its_issuer_or_by_birth_date_and_name(store: Store) -> None:
    _know(store, "P-1", ("urn:a", "1"), ("urn:b", "2"))
    _know(store, "P-2", ("urn:b", "1"), family="hazel")
    with store.reading() as tx:
        assert [one.patient for one in matches.numbered(tx, "north", [("urn:a", "1"), ("urn:z", "9")])] == ["P-1"]
        assert matches.numbered(tx, "north", [("urn:a", "2")]) == []
        assert matches.numbered(tx, "north", []) == []
        assert matches.numbered(tx, "south", [("urn:a", "1")]) == []
        assert [one.patient for one in matches.alike(tx, "north", birth_date="1980-01-01", family="hazel")] == ["P-2"]
        assert [one.patient for one in matches.known(tx, "north", ["P-2", "P-3"])] == ["P-2"]


def test_who_read_the_same_rows_later_changes_nothing(store: Store) -> None:
    _know(store, "P-1", ("urn:a", "1"))
    _know(store, "P-1", family="late", after=7)  # begun before the first one was done, and ended after it
    with store.reading() as tx:
        assert [one.family for one in matches.numbered(tx, "north", [("urn:a", "1")])] == ["rowan"]


def test_a_patient_told_anew_is_known_by_the_new_words_alone(store: Store) -> None:
    _know(store, "P-1", ("urn:a", "1"))
    _know(store, "P-1", ("urn:a", "2"), family="hazel")
    with store.reading() as tx:
        assert matches.numbered(tx, "north", [("urn:a", "1")]) == []
        assert [one.family for one in matches.numbered(tx, "north", [("urn:a", "2")])] == ["hazel"]


def test_the_open_questions_of_a_tenant_are_listed_the_oldest_first(store: Store) -> None:
    with store.transaction() as tx:
        for number, (verdict, tenant) in enumerate([("open", "north"), ("new", "north"), ("open", "north"), ("open", "south")]):
            matches.put(tx, Match(tenant, f"R-{number}", None, verdict, b"[]", NOW - timedelta(days=number)))
        matches.put(tx, Match("north", "R-2", "general", "open", b"[]", NOW - timedelta(days=9)))
        assert matches.hold(tx, "north", "R-1") == Match("north", "R-1", None, "new", b"[]", NOW - timedelta(days=1))
    with store.reading() as tx:
        assert [one.referral for one in matches.open_(tx, "north")] == ["R-2", "R-0"]
        assert matches.of(tx, "south", "R-2") is None


def test_what_is_known_of_a_sender_is_its_tenants(store: Store) -> None:
    told = Sender("north", "general", "general", "https://h.example", "https://h.example/m")
    with store.transaction() as tx:
        senders.put(tx, told)
        senders.put(tx, Sender("north", "quiet", "general"))
    with store.reading() as tx:
        assert senders.of(tx, "north", "general") == told
        assert senders.of(tx, "south", "general") == Sender("south", "general")
        assert senders.with_messages(tx, "north") == [told]


def _fetch(id: str, **other: object) -> Fetch:
    plain = Fetch(
        "north", id, "general", "https://h.example/ServiceRequest/1", "https://c.example/fhir", "0", b"{}", NOW, "waiting", 0, NOW
    )
    return Fetch(**{name: other.get(name, getattr(plain, name)) for name in Fetch.__slots__})


def test_a_fetch_is_claimed_by_one_and_comes_back_when_its_time_is_over(store: Store) -> None:
    with store.transaction() as tx:
        fetches.put(tx, _fetch("F-1"))
    with store.transaction() as tx:
        first = fetches.claim(tx, seconds=0)
        assert first is not None
    with store.transaction() as tx:
        second = fetches.claim(tx, seconds=600)
        assert second is not None
        assert (first.id, first.tries, second.tries) == ("F-1", 1, 2)
        assert fetches.claim(tx, seconds=600) is None
        assert not fetches.settle(tx, first, state="failed", next_at=None, why="too late")
        assert fetches.settle(tx, second, state="fetched", next_at=None, referral="R-1", answer=b"{}")
    with store.reading() as tx:
        found = fetches.of(tx, "north", "F-1")
        assert found is not None
        assert (found.state, found.referral, found.why) == ("fetched", "R-1", None)
        assert fetches.of(tx, "south", "F-1") is None


def test_one_that_failed_is_asked_for_again_and_one_that_waits_stays(store: Store) -> None:
    with store.transaction() as tx:
        assert fetches.put(tx, _fetch("F-1")).state == "waiting"
        claimed = fetches.claim(tx, seconds=600)
        assert claimed is not None
        fetches.settle(tx, claimed, state="failed", next_at=None, why="gone")
        assert [one.why for one in fetches.failed(tx, "north")] == ["gone"]
        again = fetches.put(tx, _fetch("F-1"))
        assert (again.state, again.why, again.tries) == ("waiting", None, 1)
        assert fetches.failed(tx, "north") == []
        assert fetches.put(tx, _fetch("F-1", url="https://other.example")).url == "https://h.example/ServiceRequest/1"

"""The audit chain: rows cannot be changed, and what is done past the triggers is found."""

import pytest
from sqlalchemy import text
from store_rows import NOON

from fhir_bridge.store import audit
from fhir_bridge.store.database import Store, StoreError, Transaction

KEY = b"k" * 32


def write(tx: Transaction, subject: str, *, tenant: str = "clinic", key: bytes = KEY) -> audit.Entry:
    return audit.write(tx, tenant=tenant, actor="c1", action="accept", subject=subject, detail={"version": 1}, now=NOON, key=key)


@pytest.fixture
def written(store: Store) -> Store:
    """Five rows of one tenant, two of another."""
    with store.transaction() as tx:
        for number in range(1, 6):
            write(tx, f"session/S-{number}")
        for number in range(1, 3):
            write(tx, f"session/T-{number}", tenant="other")
    return store


def first_bad(store: Store, tenant: str = "clinic", *, key: bytes = KEY, anchor: audit.Head | None = None) -> int | None:
    with store.reading() as tx:
        broken = audit.verify(tx, tenant, key, anchor=anchor)
    return broken and broken.seq


def tamper(store: Store, *statements: str) -> None:
    """What somebody with the database's own rights could do."""
    with store.transaction() as tx:
        if tx.on_postgresql:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            tx.execute(text("DROP TRIGGER audit_no_update"))
            tx.execute(text("DROP TRIGGER audit_no_delete"))
        for statement in statements:
            tx.execute(text(statement))


def test_an_untouched_chain_verifies(written: Store) -> None:
    assert first_bad(written) is first_bad(written, "other") is first_bad(written, "nobody") is None
    with written.reading() as tx:
        assert audit.head(tx, "clinic").seq == 5
        [entry] = audit.of_subject(tx, "clinic", "session/S-2")
        assert (entry.seq, entry.at, entry.detail) == (2, NOON, b'{"version":1}')


@pytest.mark.parametrize("forbidden", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_a_row_is_never_changed_or_deleted(written: Store, forbidden: str) -> None:
    with pytest.raises(StoreError, match="never changed"), written.transaction() as tx:
        tx.execute(text(forbidden))
    assert first_bad(written) is None


def test_postgresql_does_not_empty_the_table_either(postgresql_url: str) -> None:
    store = Store(postgresql_url, allow_unsafe=True)
    with pytest.raises(StoreError, match="never changed"), store.transaction() as tx:
        tx.execute(text("TRUNCATE audit"))
    store.close()


TEXTS = ("actor", "action", "subject", "detail", "seal", "previous")
CHANGES = ["at = '2026-03-02 13:00:00.000000'", *(f"{name} = '{{}}'" for name in TEXTS)]


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_is_found(written: Store, column: str) -> None:
    tamper(written, f"UPDATE audit SET {column} WHERE tenant = 'clinic' AND seq = 3")  # noqa: S608
    assert first_bad(written) == 3
    assert first_bad(written, "other") is None


def test_a_deleted_row_is_found(written: Store) -> None:
    tamper(written, "DELETE FROM audit WHERE tenant = 'clinic' AND seq = 3")
    assert first_bad(written) == 3


def test_a_deleted_row_whose_number_was_closed_up_is_found(written: Store) -> None:
    tamper(
        written,
        "DELETE FROM audit WHERE tenant = 'clinic' AND seq = 3",
        "UPDATE audit SET seq = 3 WHERE tenant = 'clinic' AND seq = 4",
        "UPDATE audit SET seq = 4 WHERE tenant = 'clinic' AND seq = 5",
    )
    assert first_bad(written) == 3


def test_swapped_rows_are_found(written: Store) -> None:
    tamper(
        written,
        "UPDATE audit SET seq = 99 WHERE tenant = 'clinic' AND seq = 2",
        "UPDATE audit SET seq = 2 WHERE tenant = 'clinic' AND seq = 3",
        "UPDATE audit SET seq = 3 WHERE tenant = 'clinic' AND seq = 99",
    )
    assert first_bad(written) == 2


def test_an_inserted_row_is_found(written: Store) -> None:
    with written.transaction() as tx:
        write(tx, "session/S-6", key=b"guessed")
    assert first_bad(written) == 6


def test_a_row_taken_from_another_tenant_is_found(written: Store) -> None:
    tamper(
        written,
        "DELETE FROM audit WHERE tenant = 'clinic'",
        "UPDATE audit SET tenant = 'clinic' WHERE tenant = 'other'",
    )
    assert first_bad(written) == 1


def test_a_tail_cut_off_is_found(written: Store) -> None:
    tamper(written, "DELETE FROM audit WHERE tenant = 'clinic' AND seq > 3")
    assert first_bad(written) == 4


def test_a_tail_cut_off_together_with_the_head_is_found_by_an_anchor(written: Store) -> None:
    with written.reading() as tx:
        anchor = audit.head(tx, "clinic")
    cut = "UPDATE audit_heads SET seq = 3, seal = (SELECT seal FROM audit WHERE tenant = 'clinic' AND seq = 3) WHERE tenant = 'clinic'"
    tamper(written, "DELETE FROM audit WHERE tenant = 'clinic' AND seq > 3", cut)
    assert first_bad(written) is None
    assert first_bad(written, anchor=anchor) == 4


def test_an_older_anchor_still_fits(written: Store) -> None:
    with written.transaction() as tx:
        anchor = audit.head(tx, "clinic")
        write(tx, "session/S-6")
    assert first_bad(written, anchor=anchor) is None
    assert first_bad(written, anchor=audit.Head(anchor.seq, "0" * 64)) == anchor.seq


def test_another_key_verifies_nothing(written: Store) -> None:
    assert first_bad(written, key=b"other") == 1

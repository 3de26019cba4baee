"""A prepared statement says what SQLAlchemy's own would: the same values in and out, the same errors, the same transaction."""

from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select
from store_rows import NOON, version_of

from fhir_bridge.store.database import Store, StoreError
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.tables import records

PUT = Prepared(insert(records))
OF = select(records).where(records.c.id == bindparam("of_id"))
PREPARED_OF = Prepared(OF)


def row(id: str, version: int = 1) -> dict[str, Any]:
    found = version_of(id, version, patient="P-1")
    return found | {"stored_at": found.pop("now")}


def test_what_goes_in_comes_out_as_of_sqlalchemy(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.run(PUT, **row("S-1")).rowcount == 1
        PUT.execute_all(tx.connection, [row("S-1", 2), row("S-2")])
    with store.reading() as tx:
        ours, theirs = tx.run(PREPARED_OF, of_id="S-1").rows, [tuple(one) for one in tx.execute(OF, of_id="S-1")]
        assert sorted(ours) == sorted(theirs) and len(ours) == 2
        assert ours[0][-1] == NOON and ours[0][-1].tzinfo is not None


@pytest.mark.parametrize("many", [False, True])
def test_a_broken_rule_is_the_stores_error_without_the_values(store: Store, many: bool) -> None:
    with store.transaction() as tx:
        tx.run(PUT, **row("S-SECRET"))
    with pytest.raises(StoreError) as refused, store.transaction() as tx:
        if many:
            PUT.execute_all(tx.connection, [row("S-SECRET")])
        else:
            tx.run(PUT, **row("S-SECRET"))
    assert "SECRET" not in str(refused.value)


def test_it_is_undone_with_its_transaction_and_with_a_part_of_it(store: Store) -> None:
    with store.transaction() as tx:
        tx.run(PUT, **row("S-1"))
        with pytest.raises(ZeroDivisionError), tx.part():
            tx.run(PUT, **row("S-2"))
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:
        tx.run(PUT, **row("S-3"))
        raise ZeroDivisionError
    with store.reading() as tx:
        assert [len(tx.run(PREPARED_OF, of_id=id).rows) for id in ("S-1", "S-2", "S-3")] == [1, 0, 0]


def test_one_that_writes_is_refused_where_nothing_may_be_written(store: Store) -> None:
    with pytest.raises(StoreError, match=r"(?i)read-?only"), store.reading() as tx:
        tx.run(PUT, **row("S-1"))

"""What signing in remembers, on both databases: one proof is good once, one process fetches, what ended is gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from alembic import command as alembic
from sqlalchemy import create_engine, text
from store_rows import NOON, Clock

from fhir_bridge.store import clients, migrating, sign_in
from fhir_bridge.store.clients import Client, ClientExists
from fhir_bridge.store.database import Store
from fhir_bridge.store.sign_in import PublicKeys
from fhir_bridge.store.sign_in_tables import access_tokens, used_proofs

HOSPITAL = Client("north", "general", "General", "hospital", NOON, scopes="system/ServiceRequest.c", networks="10.0.0.0/8")
KEYS = PublicKeys("north", "general", "https://ehr.example/jwks")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def known(timed: Store) -> Store:
    with timed.transaction() as tx:
        clients.register(tx, HOSPITAL)
        sign_in.put_public_keys(tx, KEYS)
    return timed


def test_a_client_is_found_by_the_id_it_signs_in_with_until_it_is_revoked(known: Store) -> None:
    with known.transaction() as tx:
        assert sign_in.registered(tx, "general") == (HOSPITAL, KEYS)
        assert sign_in.registered(tx, "General") is None
        assert clients.revoke(tx, tenant="north", id="general", now=NOON)
        assert sign_in.registered(tx, "general") is None


def test_an_id_signs_in_at_one_site_only(known: Store) -> None:
    with known.transaction() as tx:
        clients.register(tx, Client("south", "general", "General", "hospital", NOON))
    with pytest.raises(ClientExists), known.transaction() as tx:
        sign_in.put_public_keys(tx, PublicKeys("south", "general", None, b'{"keys":[]}'))


def test_the_key_of_a_client_from_before_still_opens(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = migrating._config()
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0006")
        values = {"key": clients.hashed("an old key"), "at": "2026-03-02 12:00:00.000000"}
        columns = "tenant, id, name, kind, key_sha256, created_at"
        connection.execute(text(f"INSERT INTO clients ({columns}) VALUES ('north', 'c1', 'C', 'clinic', :key, :at)"), values)  # noqa: S608
    engine.dispose()
    store = Store(url)
    store.upgrade()
    with store.reading() as tx:
        assert clients.authenticate(tx, "an old key") == Client("north", "c1", "C", "clinic", NOON)
    store.close()


def test_one_of_many_processes_may_fetch_each_minute(known: Store, clock: Clock) -> None:
    start = Barrier(4)

    def ask(_: int) -> bool:
        start.wait()
        with known.transaction() as tx:
            return sign_in.may_fetch(tx, KEYS, now=tx.now, pause=MINUTE)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [False, False, False, True]
    clock.now += MINUTE
    with known.transaction() as tx:
        assert sign_in.may_fetch(tx, KEYS, now=tx.now, pause=MINUTE)


def test_what_was_fetched_is_kept_with_its_end(known: Store) -> None:
    with known.transaction() as tx:
        sign_in.fetched(tx, KEYS, jwks=b'{"keys":[]}', now=NOON, fresh_until=NOON + MINUTE)
        found = sign_in.registered(tx, "general")
    assert found is not None
    assert (found[1].jwks, found[1].fetched_at, found[1].fresh_until) == (b'{"keys":[]}', NOON, NOON + MINUTE)


def test_new_public_keys_take_the_place_of_all_that_was_fetched(known: Store) -> None:
    with known.transaction() as tx:
        sign_in.fetched(tx, KEYS, jwks=b'{"keys":[]}', now=NOON, fresh_until=NOON + MINUTE)
        sign_in.put_public_keys(tx, KEYS)
        assert sign_in.registered(tx, "general") == (HOSPITAL, KEYS)


@pytest.mark.parametrize("proof", ["jti-1", "x" * 10_000, "\ud800\x00"])
def test_a_proof_is_good_once_to_each_client(known: Store, proof: str) -> None:
    other = Client("south", "general", "General", "hospital", NOON)

    def use(client: Client, kind: str) -> bool:
        with known.transaction() as tx:
            return sign_in.use_proof(tx, client=client, kind=kind, proof=proof, ends_at=NOON)

    assert [use(HOSPITAL, "jti"), use(HOSPITAL, "jti"), use(HOSPITAL, "hmac"), use(other, "jti")] == [True, False, True, True]


def test_of_eight_that_use_one_proof_at_once_one_is_first(known: Store) -> None:
    start = Barrier(8)

    def use(_: int) -> bool:
        start.wait()
        with known.transaction() as tx:
            return sign_in.use_proof(tx, client=HOSPITAL, kind="jti", proof="one", ends_at=NOON)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8))) == [False] * 7 + [True]


def test_a_token_gives_its_client_with_the_tokens_scopes_until_it_ends(known: Store, clock: Clock) -> None:
    with known.transaction() as tx:
        token = sign_in.give_token(tx, HOSPITAL, scopes="system/Task.r", now=NOON, ends_at=NOON + 5 * MINUTE)
    with known.reading() as tx:
        found = sign_in.holder(tx, token)
        assert found is not None
        assert (found.id, found.scopes, found.networks) == ("general", "system/Task.r", "10.0.0.0/8")
        assert sign_in.holder(tx, token[:-1]) is None
        assert clients.authenticate(tx, token) is None
    clock.now += 5 * MINUTE
    with known.reading() as tx:
        assert sign_in.holder(tx, token) is None


def test_neither_a_token_nor_a_key_is_in_the_database(known: Store) -> None:
    with known.transaction() as tx:
        shown = [
            sign_in.give_token(tx, HOSPITAL, scopes="", now=NOON, ends_at=NOON),
            clients.give_key(tx, tenant="north", id="general", now=NOON),
        ]
        held = "".join(str(tx.execute(text(f"SELECT * FROM {name}")).all()) for name in ("clients", "client_keys", "access_tokens"))  # noqa: S608
    assert all(secret.rpartition("_")[2] not in held for secret in shown)
    assert all(len(secret.partition("fhirbridge_")[2]) >= 43 for secret in shown)


def test_what_ended_is_forgotten_a_few_at_a_time_of_this_tenant_alone(known: Store) -> None:
    south = Client("south", "general", "General", "hospital", NOON)
    with known.transaction() as tx:
        for client in (HOSPITAL, south):
            for number in range(25):
                sign_in.use_proof(tx, client=client, kind="jti", proof=str(number), ends_at=NOON)
        sign_in.use_proof(tx, client=HOSPITAL, kind="jti", proof="of now", ends_at=NOON + MINUTE)
        sign_in.give_token(tx, HOSPITAL, scopes="", now=NOON, ends_at=NOON)
    left = []
    for _ in range(3):
        with known.transaction() as tx:
            sign_in.forget_ended(tx, "north", now=NOON)
            left.append(len([row for row in tx.rows(used_proofs.select()) if row.tenant == "north"]))
    with known.reading() as tx:
        assert len([row for row in tx.rows(used_proofs.select()) if row.tenant == "south"]) == 25
        assert tx.rows(access_tokens.select()) == []
    assert left == [6, 1, 1]

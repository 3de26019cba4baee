"""`fhir-bridge clients`: added, rotated and revoked from the command line, each step in the audit trail, no secret twice."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey

from fhir_bridge import bootstrap
from fhir_bridge.cli.group import command
from fhir_bridge.settings import Settings
from fhir_bridge.store import audit, clients, sign_in
from fhir_bridge.store.clients import Client
from fhir_bridge.store.sign_in_tables import client_keys
from fhir_bridge.sync.bridge import Bridge

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'bridge.sqlite'}")
    return lambda *words: CliRunner().invoke(command, ["clients", *words])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def bridge() -> Bridge:
    return bootstrap.bridge(Settings.from_environ())


def entering(shown: str) -> Client | None:
    with bridge().store.reading() as tx:
        return clients.authenticate(tx, shown)


def public_keys(path: Path, *keys: ECKey, private: bool = False) -> str:
    path.write_text(json.dumps({"keys": [key.as_dict(private=private) for key in keys]}))
    return str(path)


def key(kid: str = "k1") -> ECKey:
    return ECKey.generate_key("P-384", {"kid": kid}, private=True)


def test_an_added_client_enters_by_the_key_that_is_shown_once(run: Run) -> None:
    shown = run("add", "c1").stdout.strip()
    client = entering(shown)
    assert client is not None
    assert (client.tenant, client.id, client.kind, client.scopes) == ("default", "c1", "clinic", "")
    assert shown not in run("list").stdout


def test_a_hospital_may_do_all_its_door_offers_unless_said_otherwise(run: Run) -> None:
    assert entering(told(run("add", "h1", "--kind", "hospital", "--json"))["key"]).scopes == "system/*.cruds"
    narrow = told(run("add", "h2", "--kind", "hospital", "--scope", "system/ServiceRequest.c", "--scope", "system/Task.r", "--json"))
    assert entering(narrow["key"]).scopes == "system/ServiceRequest.c system/Task.r"


def test_a_rotated_key_and_the_old_one_both_open_until_the_overlap_ends(run: Run) -> None:
    old = run("add", "c1").stdout.strip()
    rotated = told(run("rotate", "c1", "--json"))
    assert entering(old) == entering(rotated["key"]) != None  # noqa: E711
    with bridge().store.transaction() as tx:
        ends = sorted((row.ends_at for row in tx.rows(client_keys.select())), key=bool)
        assert ends[0] is None
        assert timedelta(hours=23) < ends[1] - tx.now <= timedelta(hours=24)
        tx.execute(client_keys.update().where(client_keys.c.ends_at.is_not(None)).values(ends_at=tx.now))
    assert entering(old) is None
    assert entering(rotated["key"]) is not None


def test_the_list_says_by_what_each_comes_in_and_until_when(run: Run, tmp_path: Path) -> None:
    run("add", "c1")
    run("rotate", "c1")
    run("add", "c2", "--hmac", "--expires", "30d")
    run("add", "h1", "--kind", "hospital", "--jwks", public_keys(tmp_path / "jwks.json", key()), "--scope", "system/Task.r")
    found = {one["id"]: one for one in told(run("list", "--json"))}
    assert [(one["means"], "until" in one) for one in found["c1"]["by"]] == [("key", True), ("key", False)]
    assert [(one["means"], "until" in one) for one in found["c2"]["by"]] == [("hmac", True)]
    assert (found["h1"]["by"], found["h1"]["scopes"]) == ([{"means": "public keys"}], ["system/Task.r"])
    assert "public keys" in run("list").stdout


def test_a_stolen_key_ends_at_once(run: Run) -> None:
    old = run("add", "c1").stdout.strip()
    fresh = told(run("rotate", "c1", "--overlap", "0m", "--json"))["key"]
    assert (entering(old), entering(fresh) is None) == (None, False)


def test_a_second_rotation_does_not_let_the_first_key_live_longer(run: Run) -> None:
    run("add", "c1")
    run("rotate", "c1", "--overlap", "1h")
    run("rotate", "c1", "--overlap", "9h")
    with bridge().store.reading() as tx:
        ends = [row.ends_at - tx.now for row in tx.rows(client_keys.select()) if row.ends_at]
    assert sorted(round(end / timedelta(hours=1)) for end in ends) == [1, 9]


def test_a_key_that_ends_before_the_overlap_or_has_ended_can_be_rotated_and_lives_no_longer(run: Run) -> None:
    old = told(run("add", "c1", "--expires", "1h", "--json"))["key"]
    fresh = told(run("rotate", "c1", "--overlap", "24h", "--json"))["key"]
    with bridge().store.transaction() as tx:
        [end] = [row.ends_at for row in tx.rows(client_keys.select()) if row.ends_at]
        assert end - tx.now <= timedelta(hours=1)
        tx.execute(client_keys.update().values(ends_at=tx.now))
    assert entering(told(run("rotate", "c1", "--json"))["key"]) is not None
    assert (entering(old), entering(fresh)) == (None, None)


def test_what_a_client_never_had_is_not_rotated(run: Run) -> None:
    run("add", "c1")
    refused = run("rotate", "c1", "--hmac")
    assert (refused.exit_code, "no such key" in refused.output) == (1, True)


def test_a_key_may_have_an_end_and_a_network(run: Run) -> None:
    shown = told(run("add", "h1", "--kind", "hospital", "--expires", "90d", "--from", "10.0.0.0/8", "--from", "fd00::/8", "--json"))["key"]
    client = entering(shown)
    assert client is not None
    calls = {"10.1.2.3": True, "::ffff:10.1.2.3": True, "fd00::1": True, "192.0.2.1": False, "": False, "no address": False}
    assert {address: client.may_call_from(address) for address in calls} == calls
    with bridge().store.transaction() as tx:
        tx.execute(client_keys.update().values(ends_at=tx.now))
    assert entering(shown) is None


def test_a_hospital_is_registered_by_its_public_keys_and_gets_no_key_of_ours(run: Run, tmp_path: Path) -> None:
    found = told(run("add", "h1", "--kind", "hospital", "--jwks", public_keys(tmp_path / "jwks.json", key()), "--json"))
    assert found == {"site": "default", "id": "h1", "kind": "hospital", "client_id": "h1"}
    with bridge().store.reading() as tx:
        assert tx.rows(client_keys.select()) == []
        assert sign_in.registered(tx, "h1") is not None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--kind", "hospital", "--jwks-url", "http://ehr.example/jwks"], "https"),
        (["--kind", "hospital", "--jwks-url", "https://127.0.0.1/jwks"], "public address"),
        (["--kind", "hospital", "--scope", "patient/*.read"], "--scope"),
        (["--scope", "system/*.r"], "--scope"),
        (["--from", "10.0.0.1/8"], "--from"),
        (["--site", "nowhere"], "--site"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(run: Run, words: list[str], why: str) -> None:
    refused = run("add", "x", *words)
    assert (refused.exit_code, why in refused.output) == (1, True), refused.output
    assert run("list").stdout.strip() == "No client yet."


def test_a_private_key_is_refused_and_not_repeated(run: Run, tmp_path: Path) -> None:
    mine = key()
    refused = run("add", "h1", "--kind", "hospital", "--jwks", public_keys(tmp_path / "jwks.json", mine, private=True))
    assert (refused.exit_code, "private" in refused.output) == (1, True)
    assert mine.as_dict(private=True)["d"] not in refused.output


def test_each_step_is_in_the_audit_trail_without_a_secret(run: Run, tmp_path: Path) -> None:
    secrets = [run("add", "c1").stdout.strip(), told(run("rotate", "c1", "--json"))["key"]]
    run("revoke", "c1")
    assert run("revoke", "c1").exit_code == run("rotate", "c1").exit_code == 1
    with bridge().store.reading() as tx:
        trail = audit.of_subject(tx, "default", "client/c1")
    assert [entry.action for entry in trail] == ["add-client", "rotate-key", "revoke-client"]
    assert not any(secret in str(trail) for secret in secrets)


def test_a_client_that_signs_gets_a_secret_that_is_not_in_the_database(run: Run, tmp_path: Path) -> None:
    shown = told(run("add", "c1", "--hmac", "--json"))
    assert shown["secret"].startswith("whsec_")
    fresh = told(run("rotate", "c1", "--hmac", "--json"))
    assert fresh["secret"] != shown["secret"]
    held = (tmp_path / "bridge.sqlite").read_bytes()
    for word in (shown["secret"].removeprefix("whsec_"), fresh["secret"].removeprefix("whsec_"), shown["signer"]):
        assert word.encode() not in held


def test_one_of_two_sites_may_register_an_id_that_signs_in(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bridge.toml").write_text("[sites.north]\n[sites.south]\n")
    monkeypatch.setenv("FHIR_BRIDGE_CONFIG", str(tmp_path / "bridge.toml"))
    words = ["add", "h1", "--kind", "hospital", "--jwks", public_keys(tmp_path / "jwks.json", key())]
    assert run(*words, "--site", "north").exit_code == 0
    refused = run(*words, "--site", "south")
    assert (refused.exit_code, "another site" in refused.output) == (1, True)

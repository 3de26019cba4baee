"""The inbox from the command line: the same decisions, said in words, refused with the reason and exit code 1."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_fhir_door import INBOUND

from fhir_bridge import bootstrap, documents
from fhir_bridge.cli.group import command
from fhir_bridge.clock import utc_now
from fhir_bridge.settings import Settings
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import refer
from fhir_bridge.sync.referrals.shape import ORDER, Incoming


def run(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(command, ["referrals", *words])
    return found.exit_code, found.output.strip()


@pytest.fixture
def referral(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The number of a referral that just came in."""
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'cli.sqlite'}")
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    bridge, body = bootstrap.bridge(settings), (INBOUND / "service-request.json").read_bytes()
    sender = Client("default", "general", "Invented General Hospital", "hospital", utc_now())
    refer.take(bridge, sender, Incoming(ORDER, body, documents.loads(body), "https://clinic.example/fhir"))
    bridge.store.close()
    code, printed = run("list", "--json")
    assert code == 0
    number: str = json.loads(printed)[0]["id"]
    return number


def test_the_list_says_what_is_asked_and_names_no_patient(referral: str):
    code, printed = run("list")
    assert code == 0
    assert printed.startswith(f"{referral}  received  urgent  eptinezumab  ")
    assert "Synthetic" not in printed
    assert run("list", "--status", "accepted") == (0, "No referral.")


def test_one_is_shown_whole(referral: str):
    code, printed = run("show", referral, "--json")
    assert code == 0
    assert json.loads(printed)["record"]["patient"]["family_name"] == "Synthetic-Rowan"


def test_a_document_that_came_along_is_written_out(referral: str):
    found = CliRunner().invoke(command, ["referrals", "attachment", referral, "01"])
    assert (found.exit_code, found.stdout_bytes) == (0, b"Invented letter.")
    assert run("attachment", referral, "02")[0] == 1


def test_a_referral_is_carried_to_its_end(referral: str):
    assert run("accept", referral) == (0, f"{referral} is accepted, version 2")
    assert run("schedule", referral, "--session", "S-1") == (0, f"{referral} is scheduled, version 3")
    assert run("complete", referral) == (0, f"{referral} is completed, version 4")
    assert run("list", "--status", "completed")[1].startswith(referral)


def test_a_decision_that_cannot_be_made_is_said(referral: str):
    assert run("decline", referral, "--reason", "No chair is free.") == (0, f"{referral} is declined, version 2")
    code, printed = run("accept", referral)
    assert (code, printed) == (1, "The referral is declined; accept is for one that is submitted or received or on-hold.")


def test_an_unknown_number_and_an_unknown_site_are_refused(referral: str):
    assert run("accept", "R-0") == (1, "id: the site has no referral of this id")
    assert run("list", "--site", "nowhere")[0] == 1
    assert run("decline", referral)[0] == 2


def test_what_is_stuck_is_said_with_who_must_act(referral: str):
    assert run("orphans") == (0, "Nothing is stuck.")
    assert run("orphans", "--days", "0") == (0, f"{referral}  received  received for 0 days  clinic: Accept or decline it.")
    code, printed = run("orphans", "--days", "0", "--json")
    assert (code, [one["id"] for one in json.loads(printed)]) == (0, [referral])


def test_a_referral_is_held_taken_up_again_and_cancelled(referral: str):
    assert run("hold", referral, "--reason", "The drug is not in stock.") == (0, f"{referral} is on-hold, version 2")
    assert run("accept", referral) == (0, f"{referral} is accepted, version 3")
    assert run("cancel", referral, "--reason", "The patient moved away.") == (0, f"{referral} is cancelled, version 4")
    assert run("fail", referral, "--reason", "Nothing came of it.")[0] == 1


def test_whose_patient_it_is_can_be_said(referral: str):
    assert run("list", "--undecided") == (0, "No referral.")
    assert run("match", referral, "--new", "--patient", "P-7") == (0, f"{referral} is matched, version 2")
    assert run("match", referral, "--patient", "P-404") == (1, "patient: is no patient known here; name one of the candidates, or say new")
    assert run("match", "R-0", "--new")[0] == 1

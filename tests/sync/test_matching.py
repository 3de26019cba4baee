"""Whose patient a referral is: one record of one person, never two persons in one; what is not sure waits for a person, held back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ward import CASES, CLINIC, Ward, post, work

from fhir_bridge import documents
from fhir_bridge.clock import utc_now
from fhir_bridge.errors import Refused
from fhir_bridge.store import audit, outbox, records
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox
from fhir_bridge.sync.referrals.match import catch_up, compared, judge, plain
from fhir_bridge.sync.referrals.shape import ORDER, Incoming

SENDER = Client("default", "general", "Invented General Hospital", "hospital", utc_now())
ORDERED = (CASES / "referred-biologic" / "inbound" / "service-request.json").read_text()
ISSUER, NUMBER = "urn:oid:2.999.1.1", "SYN-100724"
ROWAN: dict[str, Any] = {
    "id": "P-1",
    "hospital_numbers": [{"system": ISSUER, "value": NUMBER}],
    "family_name": "Synthetic-Rowan",
    "given_names": ["Testadora"],
    "birth_date": "1988-12-12",
    "sex": "female",
    "email": "rowan@invented.example",
}
Refer = Callable[..., dict[str, Any]]


@pytest.fixture
def registered(bridge: Bridge, session: dict[str, Any]) -> Callable[..., None]:
    """The clinic has seen this patient: `registered(family_name="Other")`."""

    def seen(number: str = "P-1", **otherwise: Any) -> None:
        patient = {name: value for name, value in (ROWAN | {"id": number} | otherwise).items() if value}
        post(bridge, session | {"id": f"S-OF-{number}", "patient": patient})

    return seen


@pytest.fixture
def refer_(bridge: Bridge) -> Refer:
    """A hospital refers: `refer_(("SYN-100724", "SYN-1"))` replaces words of the order; gives the inbox's newest entry for it."""

    def sent(*changed: tuple[str, str], sender: Client = SENDER) -> dict[str, Any]:
        text = ORDERED
        for before, after in changed:
            assert before in text
            text = text.replace(before, after)
        body = text.encode()
        refer.take(bridge, sender, Incoming(ORDER, body, documents.loads(body), "https://clinic.example/fhir"))
        number = json.loads(text)["identifier"][0]["value"]
        return next(one for one in inbox.listing(bridge, "default") if one["record"]["referral"]["placer"]["value"] == number)

    return sent


def whose(found: dict[str, Any]) -> tuple[str, str]:
    return found["match"]["verdict"], found["record"]["patient"]["id"]


def sent_to(bridge: Bridge, id: str) -> list[str]:
    with bridge.store.reading() as tx:
        return [one.state for one in outbox.of_record(tx, "default", "referral", id)]


def test_a_number_of_its_issuer_with_birth_date_and_name_joins_the_clinics_patient(bridge: Bridge, registered: Any, refer_: Refer) -> None:
    registered()
    found = refer_()
    assert whose(found) == ("joined", "P-1")
    assert found["record"]["patient"]["email"] == "rowan@invented.example"  # what only the clinic knew
    assert found["record"]["patient"]["phone"] == "555-0128"  # what only the hospital knew
    assert sent_to(bridge, found["id"]) == ["pending"]


def test_the_sessions_and_the_referrals_patient_are_one_at_the_hospital(
    bridge: Bridge, hospital: Ward, registered: Any, refer_: Refer
) -> None:
    registered()
    refer_()
    work(bridge)
    assert len(hospital.held("Patient")) == 1
    [order] = hospital.held("ServiceRequest")
    assert order["subject"]["reference"] == f"Patient/{hospital.held('Patient')[0]['id']}"


@pytest.mark.parametrize("spelt", ["SYNTHETIC-ROWAN", "Synthetic Rowan", "Sýnthetic‐Röwan"])
def test_case_accents_and_hyphens_of_a_name_make_no_difference(registered: Any, refer_: Refer, spelt: str) -> None:
    registered(family_name=spelt)
    assert whose(refer_()) == ("joined", "P-1")


@pytest.mark.parametrize(
    ("otherwise", "agrees", "differs"),
    [
        ({"birth_date": "1988-12-21"}, ["hospital_numbers", "family_name", "given_names"], ["birth_date"]),
        ({"family_name": "Testwoman"}, ["hospital_numbers", "birth_date", "given_names"], ["family_name"]),
        ({"hospital_numbers": None}, ["birth_date", "family_name", "given_names"], []),
        (
            {"hospital_numbers": [{"system": ISSUER, "value": "SYN-0"}]},
            ["birth_date", "family_name", "given_names"],
            ["hospital_numbers"],
        ),
    ],
)
def test_what_is_not_sure_waits_for_a_person_and_goes_nowhere(
    bridge: Bridge, registered: Any, refer_: Refer, otherwise: dict[str, Any], agrees: list[str], differs: list[str]
) -> None:
    registered(**otherwise)
    found = refer_()
    assert whose(found)[0] == "open"
    assert whose(found)[1] != "P-1"
    assert sent_to(bridge, found["id"]) == []
    shown = inbox.shown(bridge, "default", found["id"]) or {}
    [candidate] = shown["match"]["candidates"]
    assert (candidate["patient"], list(candidate["agrees"]), list(candidate["differs"])) == ("P-1", agrees, differs)
    assert candidate["known"]["given_names"] == shown["match"]["told"]["given_names"] == ["Testadora"]
    assert [one["id"] for one in inbox.listing(bridge, "default", undecided=True)] == [found["id"]]


def test_nobody_alike_is_a_new_patient(registered: Any, refer_: Refer) -> None:
    registered(hospital_numbers=None, given_names=["Zebra"])  # a twin, perhaps
    registered("P-2", hospital_numbers=[{"system": "urn:oid:2.999.5.1", "value": NUMBER}], family_name="Another", birth_date="1970-01-01")
    assert whose(refer_())[0] == "new"


def test_one_number_at_two_hospitals_is_two_patients_until_a_person_says_otherwise(bridge: Bridge, refer_: Refer) -> None:
    first = refer_()
    second = refer_(("ORD-SYN-90001", "ORD-2"), (ISSUER + '"', 'urn:oid:2.999.5.1"'))
    assert whose(first)[0] == "new"
    assert whose(second)[0] == "open"
    inbox.match(bridge, CLINIC, second["id"], patient=whose(first)[1])
    [joined] = [one for one in inbox.listing(bridge, "default") if one["id"] == second["id"]]
    assert whose(joined) == ("joined", whose(first)[1])
    assert len(joined["record"]["patient"]["hospital_numbers"]) == 2


def test_an_undecided_referral_can_be_accepted_but_not_scheduled(bridge: Bridge, registered: Any, refer_: Refer) -> None:
    registered(family_name="Testwoman")
    id = refer_()["id"]
    inbox.decide(bridge, CLINIC, id, "accept")
    with pytest.raises(inbox.NotNow):
        inbox.decide(bridge, CLINIC, id, "schedule")
    assert sent_to(bridge, id) == []


@pytest.mark.parametrize(
    ("said", "verdict", "patient"), [({"patient": "P-1"}, "joined", "P-1"), ({"new": True, "patient": "P-9"}, "new", "P-9")]
)
def test_a_persons_word_is_stored_audited_and_lets_everything_go(
    bridge: Bridge, hospital: Ward, registered: Any, refer_: Refer, said: dict[str, Any], verdict: str, patient: str
) -> None:
    registered(family_name="Testwoman")
    id = refer_()["id"]
    inbox.decide(bridge, CLINIC, id, "accept")
    answer = inbox.match(bridge, CLINIC, id, **said) or {}
    assert (answer["version"], answer["hospitals"]) == (3, ["general"])
    [found] = inbox.listing(bridge, "default")
    assert (whose(found), found["status"]) == ((verdict, patient), "accepted")
    assert inbox.match(bridge, CLINIC, id, **said) == answer
    work(bridge)
    assert [one["status"] for one in hospital.held("Task")] == ["accepted"]
    with bridge.store.reading() as tx:
        told = [entry for entry in audit.of_subject(tx, "default", f"referral/{id}") if entry.action == "match-referral"]
    assert [(entry.actor, json.loads(entry.detail)["patient"]) for entry in told] == [("clinic-1", verdict)]


@pytest.mark.parametrize("said", [{}, {"patient": "P-404"}, {"patient": "P-1", "new": True}])
def test_a_word_that_fits_nobody_is_refused(bridge: Bridge, registered: Any, refer_: Refer, said: dict[str, Any]) -> None:
    registered(family_name="Testwoman")
    id = refer_()["id"]
    with pytest.raises(Refused):
        inbox.match(bridge, CLINIC, id, **said)
    assert whose(inbox.listing(bridge, "default")[0])[0] == "open"


def test_a_declined_one_is_told_to_the_hospital_under_a_patient_of_its_own(
    bridge: Bridge, hospital: Ward, registered: Any, refer_: Refer
) -> None:
    registered(family_name="Testwoman")
    id = refer_()["id"]
    inbox.decide(bridge, CLINIC, id, "decline", reason="No chair is free.")
    work(bridge)
    assert [one["status"] for one in hospital.held("Task")] == ["rejected"]
    assert len(hospital.held("Patient")) == 2


def test_a_repetition_of_a_joined_referral_says_nothing_new(bridge: Bridge, registered: Any, refer_: Refer) -> None:
    registered()
    first = refer_()
    assert refer_(('"reference": "#patient"', '"reference":  "#patient"'))["version"] == first["version"]


def test_a_hospital_that_now_means_somebody_else_is_asked_about(bridge: Bridge, registered: Any, refer_: Refer) -> None:
    registered()
    refer_()
    changed = refer_(("Synthetic-Rowan", "Synthetic-Other"), ("1988-12-12", "1990-01-01"))
    assert whose(changed)[0] == "open"
    assert sent_to(bridge, changed["id"]) == ["pending"]  # the first version, about P-1; nothing of the second
    with bridge.store.reading() as tx:
        assert records.current(tx, "default", "referral", changed["id"]).patient != "P-1"


def test_a_hospital_that_corrects_the_name_of_a_patient_nobody_else_knows_is_believed(refer_: Refer) -> None:
    first = refer_()
    assert whose(refer_(("Synthetic-Rowan", "Synthetic-Rowen"))) == ("joined", whose(first)[1])


@pytest.mark.parametrize("learnt", [False, True])
def test_a_patient_who_got_the_clinics_number_is_found_by_the_hospitals_next_referral(
    bridge: Bridge, session: dict[str, Any], refer_: Refer, learnt: bool
) -> None:
    """The clinic's later records need not repeat the hospital's number, and the number of ours that nobody has any more is nobody."""
    first = refer_()
    patient = {name: said for name, said in ROWAN.items() if name != "hospital_numbers"} | {"id": "P-7"}
    post(bridge, session | {"id": "S-1", "patient": patient, "referral": {"id": first["id"]}})
    post(bridge, session | {"id": "S-2", "patient": patient})
    if learnt:
        catch_up(bridge, "default")
        post(bridge, session | {"id": "S-3", "patient": patient})
        catch_up(bridge, "default")
    assert whose(refer_(("ORD-SYN-90001", "ORD-2"))) == ("joined", "P-7")


PEOPLE = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["A", "B"]),
        "family_name": st.sampled_from(["Rowan", "ROWAN", "Hazel"]),
        "given_names": st.sampled_from([["Zebra"], ["Yak"]]),
        "birth_date": st.sampled_from(["1980-01-01", "1990-01-01"]),
        "hospital_numbers": st.lists(
            st.fixed_dictionaries({"system": st.sampled_from(["urn:a", "urn:b"]), "value": st.sampled_from(["1", "2"])}),
            max_size=2,
            unique_by=lambda one: one["system"],
        ),
    }
)


@given(PEOPLE, st.lists(PEOPLE, max_size=3, unique_by=lambda one: one["id"]))
def test_nobody_is_joined_who_shares_no_number_or_differs_in_anything_that_tells(told: Any, known: list[Any]) -> None:
    numbers = {(one["system"], one["value"]) for one in told["hospital_numbers"]}
    numbered = [one for one in known if numbers & {(each["system"], each["value"]) for each in one["hospital_numbers"]}]
    same = [one for one in known if (one["birth_date"], plain(one["family_name"])) == (told["birth_date"], plain(told["family_name"]))]
    verdict = judge(told, numbered, same)
    if verdict.word == "joined":
        [one] = [one for one in numbered if one["id"] == verdict.patient]
        assert compared(told, one).differs == ()
        assert one in same
        assert len(numbered) == 1
    elif verdict.word == "new":
        assert numbered == []
    else:
        assert verdict.candidates

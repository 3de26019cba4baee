"""What an answer means: the whole table, and that there is an outcome for whatever comes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.hospital.cards import CARDS, card
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.parts import Step, Verb, Write
from fhir_bridge.hospital.reply import VENDOR, Ambiguous, Dead, Delivered, Mixed, Outcome, Retry, judge, same_fault

FHIR = "application/fhir+json"


def write(verb: Verb = "put", word: str = "1", **more: Any) -> Write:
    resource = {"resourceType": "Observation", "id": word, "identifier": [{"system": "urn:x", "value": word}]}
    return Write(f"Observation/{word}", verb, resource, "", **more)


def single(verb: Verb = "put", **more: Any) -> Step:
    return Step("single", (write(verb, **more),), "")


def bundle(rung: Any = "transaction", verb: Verb = "put") -> Step:
    return Step(rung, (write(verb, "1"), write(verb, "2")), "")


def reply(status: int, body: Any = None, kind: str = FHIR, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, body, 0 if body is None else 10, kind)


def outcome(code: str = "", text: str = "no", kind: str = "invalid", **more: Any) -> dict[str, Any]:
    details = {"coding": [{"code": code}]} if code else {}
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": kind, "diagnostics": text, "details": details} | more],
    }


def answers(*entries: Any, kind: str = "transaction-response") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(status: str, word: str, version: str = "1") -> dict[str, Any]:
    return {"response": {"status": status, "location": f"Observation/{word}/_history/{version}", "etag": version}}


def test_a_created_resource_is_delivered_with_its_id_and_version() -> None:
    location = "https://hospital.example/fhir/Observation/900/_history/4"
    found = judge(single("create-if-none"), reply(201, location=location, etag='W/"4"'))
    assert isinstance(found, Delivered)
    assert (found.entries[0].id, found.entries[0].version, found.entries[0].etag) == ("900", "4", 'W/"4"')


def test_a_returned_document_is_kept() -> None:
    document = {"resourceType": "Observation", "id": "900", "meta": {"versionId": "2"}}
    found = judge(single("look-then-create"), reply(200, document))
    assert isinstance(found, Delivered)
    assert (found.entries[0].id, found.entries[0].version, found.entries[0].document) == ("900", "2", document)


def test_a_deletion_needs_no_words() -> None:
    assert isinstance(judge(single("delete", target="9"), reply(204)), Delivered)


def test_accepted_for_later_says_202() -> None:
    found = judge(single("look-then-create"), reply(202, location="Observation/900"))
    assert isinstance(found, Delivered)
    assert found.status == 202


@pytest.mark.parametrize(
    "strange",
    [
        Reply(200, {}, None, 800, "text/html"),
        Reply(201, {}, None, 0, ""),
        Reply(200, {}, None, 12, FHIR),
        reply(200, {"resourceType": "Patient", "id": "1"}),
        reply(201, location="https://hospital.example/fhir/Patient/7"),
        reply(200, {"hello": "world"}, "application/json"),
        reply(200, outcome()),
        reply(200, {"resourceType": "Observation", "id": "another"}),
    ],
)
def test_a_success_that_does_not_look_like_one_is_ambiguous(strange: Reply) -> None:
    assert isinstance(judge(single(), strange), Ambiguous)


def test_a_transaction_answers_each_entry_in_order() -> None:
    found = judge(bundle(), reply(200, answers(entry("201 Created", "1"), entry("200 OK", "2", "5"))))
    assert isinstance(found, Delivered)
    assert [(each.key, each.version) for each in found.entries] == [("Observation/1", "1"), ("Observation/2", "5")]


def test_a_transaction_that_answers_fewer_entries_than_it_was_asked_is_ambiguous() -> None:
    found = judge(bundle(), reply(200, answers(entry("201 Created", "1"))))
    assert found == Ambiguous("2 entries were sent and 1 answered", 200)


def test_a_transaction_that_answers_as_a_search_is_ambiguous() -> None:
    assert isinstance(judge(bundle(), reply(200, answers(entry("201", "1"), entry("201", "2"), kind="searchset"))), Ambiguous)


def test_a_batch_answers_each_entry_on_its_own() -> None:
    refused = {"response": {"status": "422 Unprocessable", "outcome": outcome(text="no performer")}}
    found = judge(bundle("batch"), reply(200, answers(entry("201 Created", "1"), refused, kind="batch-response")))
    assert isinstance(found, Mixed)
    assert isinstance(found.outcomes[0][1], Delivered)
    dead = found.outcomes[1][1]
    assert isinstance(dead, Dead)
    assert (dead.keys, dead.faults[0].message) == (("Observation/2",), "no performer")


@pytest.mark.parametrize("status", [400, 405, 406, 415, 422])
def test_refused_content_is_dead_at_once_with_the_servers_words(status: int) -> None:
    found = judge(single(), reply(status, outcome(text="bad code", expression=["Observation.code"])))
    assert isinstance(found, Dead)
    assert (found.kind, found.faults[0].path, found.faults[0].message) == ("refused", "Observation.code", "bad code")


def test_a_refused_transaction_names_the_guilty_entry_when_the_server_does() -> None:
    found = judge(bundle(), reply(400, outcome(expression=["Bundle.entry[1].resource.code"])))
    assert isinstance(found, Dead)
    assert (found.keys, found.divisible) == (("Observation/2",), True)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
def test_a_redirect_is_a_fault_of_the_destination(status: int) -> None:
    found = judge(single(), reply(status, location="https://evil.test/"))
    assert isinstance(found, Dead)
    assert found.kind == "redirected"


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_target_is_dead(status: int) -> None:
    found = judge(single("update", target="9"), reply(status))
    assert isinstance(found, Dead)
    assert found.kind == "target-gone"


@pytest.mark.parametrize("status", [401, 403, 429, 425])
def test_sign_in_scope_and_rate_are_the_hospitals_and_count_nothing(status: int) -> None:
    found = judge(single(), reply(status))
    assert isinstance(found, Retry)
    assert found.breaker
    assert not found.counts


def test_a_race_is_looked_at_and_tried_again() -> None:
    found = judge(single("update", target="9", etag='W/"1"'), reply(409))
    assert isinstance(found, Retry)
    assert found.look
    assert found.counts


def test_412_of_if_match_is_a_new_version_there() -> None:
    found = judge(single("update", target="9", etag='W/"1"'), reply(412))
    assert isinstance(found, Retry)
    assert found.look


def test_412_of_a_condition_means_several_there() -> None:
    found = judge(single("create-if-none"), reply(412))
    assert isinstance(found, Dead)
    assert found.kind == "duplicates-at-hospital"


def test_too_large_can_be_divided() -> None:
    found = judge(bundle(), reply(413))
    assert isinstance(found, Dead)
    assert (found.kind, found.divisible) == ("too-large", True)
    alone = judge(single(), reply(413))
    assert isinstance(alone, Dead)
    assert not alone.divisible


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_after_a_server_fault_only_what_may_be_repeated_is_repeated(status: int) -> None:
    by_id = judge(single("put"), reply(status))
    assert isinstance(by_id, Retry)
    assert not by_id.look
    conditional = judge(single("create-if-none"), reply(status))
    assert isinstance(conditional, Retry)
    assert conditional.look
    assert isinstance(judge(single("look-then-create"), reply(status)), Ambiguous)
    assert isinstance(judge(single("update", target="9"), reply(status)), Ambiguous)


def test_nothing_sent_is_a_plain_retry_and_silence_is_ambiguous() -> None:
    unsent = judge(single(), NoReply(sent=False, cause="refused"))
    assert isinstance(unsent, Retry)
    assert not unsent.counts
    assert isinstance(judge(single(), NoReply(sent=True, cause="reset")), Ambiguous)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("0", 0.0), ("999999999999", 21600.0), ("Sun, 22 Nov 2026 12:10:00 GMT", 600.0), ("yesterday", None), ("-5", None)],
)
def test_retry_after_is_read_in_both_forms_and_capped(value: str, seconds: float | None) -> None:
    found = judge(single(), reply(503, retry_after=value, date="Sun, 22 Nov 2026 12:00:00 GMT"))
    assert isinstance(found, Retry)
    assert found.after == seconds


def test_a_retry_after_date_counts_from_now_when_the_server_does_not_say_its_time() -> None:
    now = datetime(2026, 11, 22, 12, 9, tzinfo=UTC)
    found = judge(single(), reply(429, retry_after="Sun, 22 Nov 2026 12:10:00 GMT"), now=now)
    assert isinstance(found, Retry)
    assert found.after == 60.0


@pytest.mark.parametrize("code", sorted(set(VENDOR) - {"59141"}))
def test_epics_codes_are_dead_whatever_the_status(code: str) -> None:
    for status in (400, 403, 500):
        found = judge(single("look-then-create"), reply(status, outcome(code)))
        assert isinstance(found, Dead)
        assert found.kind == VENDOR[code]


def test_a_duplicate_is_looked_for_and_adopted_not_resent() -> None:
    assert isinstance(judge(single("look-then-create"), reply(400, outcome("59141"))), Ambiguous)
    assert isinstance(judge(single("look-then-create"), reply(409, outcome(kind="duplicate"))), Ambiguous)


def test_the_same_server_fault_five_times_is_a_data_error() -> None:
    once, other = (_told(judge(single(), reply(500, outcome(text=text)))) for text in ("NullPointerException", "disk full"))
    assert same_fault([once] * 5)
    assert not same_fault([once] * 4)
    assert not same_fault([once] * 4 + [other])


def test_what_a_gateway_or_a_silent_server_says_is_no_data_error_however_often() -> None:
    assert not same_fault([_told(judge(single(), reply(503, outcome(text="down for maintenance"))))] * 5)
    assert not same_fault([_told(judge(single(), reply(500)))] * 5)


def _told(found: Outcome) -> tuple[int, str]:
    assert isinstance(found, Retry | Ambiguous)
    return found.status, found.words


json_ = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda e: st.lists(e) | st.dictionaries(st.text(), e), max_leaves=8
)
shaped = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Bundle", "OperationOutcome", "Observation", 7])},
    optional={"entry": json_, "issue": json_, "type": json_, "id": json_, "meta": json_},
)
verbs = st.sampled_from(["put", "create-if-none", "put-if-one", "look-then-create", "match", "update", "patch", "delete"])


@given(
    st.integers(0, 999),
    json_ | shaped,
    st.dictionaries(st.sampled_from(["location", "etag", "retry-after", "date"]), st.text()),
    verbs,
    st.sampled_from(["single", "batch", "transaction"]),
)
def test_whatever_comes_has_an_outcome(status: int, body: Any, headers: dict[str, str], verb: Verb, rung: Any) -> None:
    step = single(verb) if rung == "single" else bundle(rung, verb)
    found = judge(step, Reply(status, headers, body, 5, FHIR))
    assert isinstance(found, Delivered | Retry | Ambiguous | Dead | Mixed)
    assert 200 <= status < 300 or not isinstance(found, Delivered)
    if isinstance(found, Dead):
        assert found.faults
        assert found.kind in CARDS


@pytest.mark.parametrize("kind", [*CARDS, "something-new"])
def test_every_card_says_what_happened_who_acts_and_what_to_do(kind: str) -> None:
    found = card(kind, judge(single(), reply(400, outcome(text="bad"))).faults, status=400)  # type: ignore[union-attr]
    assert found.happened
    assert found.do
    assert found.who in ("clinic", "hospital", "admin")
    assert found.server_said == ("status 400", "bad")

"""FHIR that others wrote: it becomes a record with a list of what is not in it, or is refused with path and reason. Never a traceback."""

from copy import deepcopy
from typing import Any

import pytest
from click.testing import CliRunner, Result
from foreign import LOINC, NINE, ROOT, UCUM, back, heart_rate, measured, patient, refused, site

from fhir_bridge import documents
from fhir_bridge.cli.group import command
from fhir_bridge.errors import Refused

# --- times -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["2026-03-02T14:00:00Z", "2026-03-02T09:00:00-05:00", "2026-03-02T14:00:00.125+00:00"])
def test_a_full_time_is_read_with_the_offset_it_has(time: str) -> None:
    assert back(heart_rate(effectiveDateTime=time)).record["readings"] == [{"taken_at": time, "state": "recorded", "heart_rate": 72}]


@pytest.mark.parametrize("time", ["2026", "2026-03", "2026-03-02", "2026-03-02T09:00:00", "yesterday"])
def test_a_part_of_a_date_is_no_time_of_a_measurement_and_is_named(time: str) -> None:
    assert "Observation.effectiveDateTime: is not a full date and time with its offset" in refused(heart_rate(effectiveDateTime=time))


def test_an_instant_is_the_time_of_a_measurement() -> None:
    found = back(heart_rate(effectiveDateTime=..., effectiveInstant=NINE))
    assert (found.record["readings"][0]["taken_at"], found.residue) == (NINE, ())


def test_a_measurement_over_a_period_is_taken_at_its_start_and_its_end_is_named() -> None:
    period = {"start": NINE, "end": "2026-03-02T09:05:00-05:00"}
    found = back(heart_rate(effectiveDateTime=..., effectivePeriod=period))
    assert found.record["readings"][0]["taken_at"] == NINE
    assert found.residue == ("Observation.effectivePeriod.end: nothing speaks of it",)


def test_an_unreadable_instant_is_named_by_the_name_it_was_sent_under() -> None:
    told = refused(heart_rate(effectiveDateTime=..., effectiveInstant="2026-03"))
    assert not [line for line in told if "effectiveDateTime" in line]


# --- values ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "field", "value"),
    [
        (("8310-5", 98.6, "[degF]"), "temperature", "37"),
        (("29463-7", 150, "[lb_av]"), "weight", "68.039"),
        (("8302-2", 70, "[in_i]"), "height", "177.8"),
        (("8867-4", 72, "{beats}/min"), "heart_rate", "72"),
        (("8478-0", 93, "mmHg"), "mean_pressure", "93"),
        (("2708-6", 98, "%"), "oxygen_saturation", "98"),
        (("59408-5", 98, "%"), "oxygen_saturation", "98"),
    ],
)
def test_other_units_and_other_codes_of_the_same_vital_are_read(sent: tuple[str, Any, str], field: str, value: str) -> None:
    found = back(measured(*sent))
    assert str(found.record["readings"][0][field]) == value
    assert found.residue == ()


def test_a_comparator_makes_a_bound_which_is_no_measurement() -> None:
    quantity = {"value": 72, "comparator": "<", "system": UCUM, "code": "/min"}
    found = back(heart_rate(valueQuantity=quantity))
    assert "heart_rate" not in found.record["readings"][0]
    assert len([line for line in found.residue if line.startswith("Observation.valueQuantity.") and "comparator" in line]) == len(quantity)


def test_a_unit_in_words_alone_is_not_guessed() -> None:
    found = back(heart_rate(valueQuantity={"value": 72, "unit": "beats a minute"}))
    assert "heart_rate" not in found.record["readings"][0]
    assert [line for line in found.residue if "UCUM" in line] == list(found.residue)


def test_a_local_code_before_the_loinc_one_does_not_hide_it() -> None:
    local = {"system": "urn:oid:2.999.7", "code": "FLO-5", "display": "Pulse"}
    found = back(heart_rate(code={"coding": [local, {"system": LOINC, "code": "8867-4"}], "text": "Pulse, sitting"}))
    assert found.record["readings"][0]["heart_rate"] == 72
    assert [line.partition(":")[0] for line in found.residue] == [
        f"Observation.code.{leaf}" for leaf in ("coding[0].system", "coding[0].code", "coding[0].display", "text")
    ]


def test_of_a_blood_pressure_with_an_absent_part_the_other_is_read_and_the_reason_kept() -> None:
    absent = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "error"}]}
    component = [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": 120, "system": UCUM, "code": "mm[Hg]"}},
        {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "dataAbsentReason": absent},
    ]
    panel = heart_rate(code={"coding": [{"system": LOINC, "code": "85354-9"}]}, component=component, valueQuantity=...)
    assert back(panel).record["readings"][0]["blood_pressure"] == {"systolic": 120, "diastolic": {"absent": "device-fault"}}
    assert back(panel | {"component": component[:1]}).record["readings"][0]["blood_pressure"] == {"systolic": 120}


def test_extensions_on_primitives_are_named_and_nothing_else_is_lost() -> None:
    found = back(patient(birthDate="1984-05-17", _birthDate={"extension": [{"url": "http://example.test/time", "valueString": "x"}]}))
    assert found.record["patient"]["birth_date"] == "1984-05-17"
    assert [line for line in found.residue if line.startswith("Patient._birthDate.extension[0].")]


# --- what must not be read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "modifier", [{"implicitRules": "http://example.test/rules"}, {"modifierExtension": [{"url": "http://example.test/not"}]}]
)
def test_what_changes_the_meaning_and_is_not_known_refuses_the_resource(modifier: dict[str, Any]) -> None:
    (line,) = refused(heart_rate(**modifier))
    assert next(iter(modifier)) in line
    both = back(heart_rate(**modifier), measured("8310-5", 37, "Cel"))
    assert both.record["readings"] == [{"taken_at": NINE, "state": "recorded", "temperature": 37}]
    assert any(next(iter(modifier)) in line for line in both.residue)


@pytest.mark.parametrize("status", ["cancelled"])
def test_a_measurement_that_was_taken_back_is_not_read(status: str) -> None:
    (line,) = refused(heart_rate(status=status))
    assert line.startswith("Observation.status: ")


def test_a_refuted_diagnosis_is_no_diagnosis() -> None:
    mapping = site().mapping
    session = documents.loads((ROOT / "fixtures/cases/monitored-clinic-visit/session-1.json").read_bytes())
    condition = next(one for one in mapping.to_fhir(session).resources if one["resourceType"] == "Condition" and "note" in one)
    assert back(condition).record["indication"]
    said = deepcopy(condition)
    said["verificationStatus"]["coding"][0]["code"] = "refuted"
    assert refused(said)


def test_a_former_name_or_address_is_named_and_the_current_one_read() -> None:
    names = [{"use": "maiden", "family": "Formerly"}, {"use": "official", "family": "Synthetic", "given": ["Exampla"]}]
    homes = [{"use": "old", "city": "Oldton"}, {"use": "home", "city": "Sampleton"}]
    found = back(patient(name=names, address=homes))
    assert (found.record["patient"]["family_name"], found.record["patient"]["address"]) == ("Synthetic", {"city": "Sampleton"})
    assert {line.partition(":")[0] for line in found.residue} == {
        *(f"Patient.name[{leaf}" for leaf in ("0].use", "0].family", "1].use")),
        *(f"Patient.address[{leaf}" for leaf in ("0].use", "0].city", "1].use")),
    }
    assert "patient" not in refused_or_read(patient(name=names[:1]))


def refused_or_read(resource: dict[str, Any]) -> dict[str, Any]:
    try:
        return back(resource).record
    except Refused:
        return {}


# --- the command -------------------------------------------------------------------------------------------------------------


def run(*arguments: str, content: bytes) -> Result:
    return CliRunner().invoke(command, ["map", "--back", *arguments, "-"], input=content)


def test_the_command_prints_the_record_and_on_stderr_the_paths_without_values() -> None:
    done = run(content=documents.dumps(heart_rate(note=[{"text": "Secretia said so"}])))
    assert (done.exit_code, done.stderr) == (0, "Observation.note[0].text: nothing speaks of it\n")
    assert documents.loads(done.stdout_bytes)["readings"][0]["heart_rate"] == 72


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert run(content=b"\xef\xbb\xbf" + documents.dumps(heart_rate())).exit_code == 0


@pytest.mark.parametrize(
    "content", [b"", b"MSH|^~\\&|", b"<Patient/>", b"{", b"\xff\xfe{", b"[]", b"{}", b"null", b'"x"', b"[1]", b'{"resourceType": 1}']
)
def test_what_is_no_fhir_ends_with_one_and_a_reason_and_no_traceback(content: bytes) -> None:
    done = run(content=content)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.strip() and "Traceback" not in done.stderr


def test_lines_are_mapped_back_one_by_one_and_a_refused_one_stops_no_other() -> None:
    content = b"\n".join(
        [documents.dumps(heart_rate()), b"{", b"", documents.dumps(heart_rate(status="cancelled")), documents.dumps(patient())]
    )
    done = run("--ndjson", content=content)
    assert done.exit_code == 1
    assert [next(iter(documents.loads(line.encode()))) for line in done.stdout.splitlines()] == ["readings", "patient"]
    assert {line.partition(":")[0] for line in done.stderr.splitlines()} == {"line 2", "line 4"}

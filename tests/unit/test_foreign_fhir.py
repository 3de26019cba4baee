"""FHIR that others wrote: it becomes a record with a list of what is not in it, or is refused with path and reason. Never a traceback."""

import os
import subprocess
import sys
from copy import deepcopy
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_bridge import bootstrap, documents
from fhir_bridge.cli.group import command
from fhir_bridge.errors import Refused
from fhir_bridge.fhir import bundle as bundles
from fhir_bridge.fhir import elements, release
from fhir_bridge.mapping.parts import leaves
from fhir_bridge.mapping.read import BOOKKEEPING
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert, coverage
from fhir_bridge.sync.bridge import Site

ROOT = Path(__file__).resolve().parents[2]
FETCH = "from npm_package import fetch; from r4_definitions import PACKAGE; print(fetch(*PACKAGE))"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
NINE = "2026-03-02T09:00:00-05:00"
#: Bundles of HL7's definitions: megabytes of conformance resources that no clinic sends
LARGEST = 500_000


@cache
def site() -> Site:
    return bootstrap.site(Settings(), "default")


def back(*resources: Any) -> convert.ReadBack:
    """The record in what any sender's JSON says, through the same door as a file."""
    document = resources[0] if len(resources) == 1 else list(resources)
    return convert.map_back(site().mapping, documents.loads(documents.dumps(document)))


def refused(*resources: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        back(*resources)
    return list(map(str, caught.value.faults))


def heart_rate(**more: Any) -> dict[str, Any]:
    """A pulse as a stranger's system writes it: no identifier of ours, no category."""
    found = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": NINE,
        "valueQuantity": {"value": 72, "unit": "/min", "system": UCUM, "code": "/min"},
    } | more
    return {name: value for name, value in found.items() if value is not ...}


def measured(code: str, value: Any, unit: str) -> dict[str, Any]:
    return heart_rate(code={"coding": [{"system": LOINC, "code": code}]}, valueQuantity={"value": value, "system": UCUM, "code": unit})


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "name": [{"family": "Synthetic", "given": ["Exampla"]}]} | more


def bundle(*entries: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": one} for url, one in entries]}


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


# --- references --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reference"),
    [
        ("urn:uuid:7a1d0b6e-0000-4000-8000-000000000001", "urn:uuid:7a1d0b6e-0000-4000-8000-000000000001"),
        ("https://ehr.example/fhir/Patient/p", "https://ehr.example/fhir/Patient/p"),
        ("https://ehr.example/fhir/Patient/p", "Patient/p"),
        ("https://ehr.example/fhir/Patient/p", "Patient/p/_history/3"),
    ],
)
def test_however_a_bundle_names_its_patient_the_measurement_is_that_patients(address: str, reference: str) -> None:
    found = back(bundle((address, patient()), ("https://ehr.example/fhir/Observation/1", heart_rate(subject={"reference": reference}))))
    assert found.record["patient"]["family_name"] == "Synthetic"
    assert found.record["readings"][0]["heart_rate"] == 72


def test_a_patient_without_an_id_is_known_by_the_address_of_its_entry() -> None:
    anonymous = {name: value for name, value in patient().items() if name != "id"}
    mine = heart_rate(subject={"reference": "urn:uuid:1"})
    other = measured("8310-5", 39, "Cel") | {"subject": {"reference": "urn:uuid:2"}}
    found = back(bundle(("urn:uuid:1", anonymous), ("urn:uuid:3", mine), ("urn:uuid:4", other)))
    assert found.record["readings"] == [{"taken_at": NINE, "state": "recorded", "heart_rate": 72}]
    assert any(line.startswith("Bundle.entry[2].resource.ofType(Observation): refers to another patient") for line in found.residue)


def test_the_same_number_at_another_server_is_another_patient() -> None:
    other = heart_rate(subject={"reference": "https://other.example/fhir/Patient/p"})
    found = back(bundle(("https://ehr.example/fhir/Patient/p", patient()), ("https://ehr.example/fhir/Observation/1", other)))
    assert "readings" not in found.record


def test_a_logical_reference_finds_its_patient_in_the_bundle_and_no_other() -> None:
    number = {"system": "urn:oid:2.999.1", "value": "SYN-1"}
    mine, other = heart_rate(subject={"identifier": number}), heart_rate(subject={"identifier": number | {"value": "SYN-2"}})
    own = ("urn:uuid:1", patient(identifier=[number]))
    assert back(bundle(own, ("urn:uuid:2", mine))).record["readings"]
    assert "readings" not in back(bundle(own, ("urn:uuid:2", other))).record


@pytest.mark.parametrize("subject", [{"display": "Somebody"}, {"identifier": {"value": "7"}}, {}])
def test_a_reference_in_words_alone_is_named_as_not_read(subject: dict[str, Any]) -> None:
    found = back(heart_rate(subject=subject))
    assert len(found.residue) == len(list(leaves(subject)))


def test_a_contained_patient_stays_inside_and_never_becomes_anothers() -> None:
    inside = heart_rate(contained=[patient()], subject={"reference": "#p"})
    found = back(inside)
    assert "patient" not in found.record
    assert any(line.startswith("Observation.contained[0].name") for line in found.residue)
    warm = measured("8310-5", 39, "Cel") | {"contained": [patient()], "subject": {"reference": "#p"}}
    assert back(inside, warm).record["readings"] == [{"taken_at": NINE, "state": "recorded", "heart_rate": 72}]


def test_the_residue_of_a_bundle_says_in_which_entry_it_stands() -> None:
    found = back(bundle(("urn:uuid:1", patient()), ("urn:uuid:2", heart_rate(subject={"reference": "urn:uuid:1"}, note=[{"text": "x"}]))))
    assert found.residue == ("Bundle.entry[1].resource.ofType(Observation).note[0].text: nothing speaks of it",)


# --- other releases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "path", "named"),
    [
        ({"resourceType": "MedicationOrder"}, "MedicationOrder", "DSTU2"),
        (heart_rate(comments="x"), "Observation.comments", "DSTU2"),
        ({"resourceType": "Encounter", "status": "finished", "class": "outpatient"}, "Encounter.class", "DSTU2"),
        (heart_rate(comment="x"), "Observation.comment", "STU3"),
        ({"resourceType": "Condition", "clinicalStatus": "active"}, "Condition.clinicalStatus", "DSTU2 or STU3"),
        (heart_rate(meta={"profile": ["http://hl7.org/fhir/3.0/StructureDefinition/vitalsigns"]}), "Observation.meta.profile", "STU3"),
        (heart_rate(meta={"profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns|4.3.0"]}), "Observation.meta.profile", "R4B"),
        ({"resourceType": "Encounter", "status": "completed", "actualPeriod": {}}, "Encounter.actualPeriod", "R5"),
        ({"resourceType": "Procedure", "status": "completed", "occurrenceDateTime": NINE}, "Procedure.occurrenceDateTime", "R5"),
        ({"resourceType": "MedicationAdministration", "medication": {}}, "MedicationAdministration.medication", "R5"),
        ({"resourceType": "Transport"}, "Transport", "R5"),
    ],
)
def test_another_release_is_refused_and_named(resource: dict[str, Any], path: str, named: str) -> None:
    assert refused(resource) == [f"{path}: is FHIR {named}, which R4 reads differently; send it as R4"]


def test_nothing_that_r4_has_tells_another_release() -> None:
    told = [f"{kind}.{name}" for tells in release.TELLS.values() for kind, names in tells.items() for name in names.split()]
    assert [path for path in told if elements.type_of(path)] == []


@pytest.mark.parametrize(("named", "package"), [("STU3", "fhir.resources.STU3"), ("R5", "fhir.resources")])
@pytest.mark.filterwarnings("ignore")
def test_what_tells_a_release_is_an_element_of_its_models(named: str, package: str) -> None:
    for kind, names in release.TELLS[named].items():
        model = getattr(import_module(f"{package}.{kind.lower()}"), kind)
        known = {field.alias or name for name, field in model.model_fields.items()}
        assert set(names.split()) <= known, kind


def test_a_profile_of_r4_tells_nothing() -> None:
    profiles = [
        "http://hl7.org/fhir/StructureDefinition/vitalsigns|4.0.1",
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-bmi|6.1.0",
    ]
    assert back(heart_rate(meta={"profile": profiles})).record["readings"]


# --- everything else anybody sends -------------------------------------------------------------------------------------------


def test_a_us_core_blood_pressure_is_read_and_what_it_says_beside_is_named() -> None:
    component = [
        {
            "code": {"coding": [{"system": LOINC, "code": code, "display": "x"}], "text": "x"},
            "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", 109), ("8462-4", 44))
    ]
    found = back(
        heart_rate(
            id="blood-pressure",
            meta={"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"], "lastUpdated": NINE},
            text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
            code={"coding": [{"system": LOINC, "code": "85354-9"}], "text": "Blood pressure systolic and diastolic"},
            encounter={"display": "GP Visit"},
            component=component,
            valueQuantity=...,
        )
    )
    assert found.record["readings"][0]["blood_pressure"] == {"systolic": 109, "diastolic": 44}
    assert {line.partition(":")[0] for line in found.residue} == {
        "Observation.meta.profile[0]",
        "Observation.text.status",
        "Observation.text.div",
        "Observation.code.text",
        "Observation.encounter.display",
        "Observation.component[0].code.text",
        "Observation.component[1].code.text",
    }


NAMES = ["code", "subject", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "valueQuantity", "status", "meta", "component"]
NAMES += ["contained", "identifier", "extension", "text", "id", "category", "encounter", "dataAbsentReason", "note", "name"]
ODD: list[Any] = [
    None,
    True,
    7,
    "x",
    [],
    {},
    [[]],
    [{}],
    {"resourceType": "Patient"},
    {"coding": 7},
    {"reference": 7},
    {"value": {}},
    [{"use": {}}],
    [{"use": "old"}],
    {"use": "old"},
]


@pytest.mark.parametrize("name", NAMES)
def test_an_element_of_any_shape_ends_in_a_record_or_a_refusal(name: str) -> None:
    for odd in ODD:
        for resource in (heart_rate(**{name: odd}), heart_rate(**{"effectiveDateTime": ...} | {name: odd}), patient(**{name: odd})):
            for document in (resource, bundle(("urn:uuid:1", patient()), ("urn:uuid:2", resource))):
                try:
                    back(document)
                except Refused as refusal:
                    assert refusal.faults


@cache
def examples() -> tuple[Path, ...]:
    fetched = subprocess.run([sys.executable, "-c", FETCH], cwd=ROOT / "scripts", capture_output=True, text=True)
    if fetched.returncode and os.environ.get("FHIR_BRIDGE_OFFLINE"):
        pytest.skip("HL7's R4 package is not in build/ and FHIR_BRIDGE_OFFLINE is set")
    assert fetched.returncode == 0, fetched.stderr
    kinds = {*site().mapping.by_type, "Bundle"}
    files = sorted(Path(fetched.stdout.strip()).glob("*.json"))
    return tuple(path for path in files if path.name.partition("-")[0] in kinds and path.stat().st_size < LARGEST)


def test_no_leaf_of_an_official_example_is_lost_in_silence() -> None:
    """Every leaf is in the record, or named with a reason, or stands in a resource that is refused with a reason."""
    read = 0
    for file in examples():
        document = documents.loads(file.read_bytes())
        explained = coverage.of_document(site(), document)
        assert all(leaf.spoken or leaf.reason for leaf in explained.leaves), file.name
        if document["resourceType"] == "Bundle":
            inside = sum(len(information(one)) for one in bundles.resources(document))
            assert len(explained.leaves) == inside, file.name
            continue
        sent = {f"{document['resourceType']}.{path}" for path in map(dotted, information(document))}
        assert {leaf.path for leaf in explained.leaves} == sent, file.name
        try:
            found = convert.map_back(site().mapping, document)
        except Refused as refusal:
            assert all(fault.message for fault in refusal.faults)
            assert explained.spoken == 0, file.name
        else:
            unsaid = {line.partition(": ")[0] for line in found.residue}
            assert {leaf.path for leaf in explained.leaves if not leaf.spoken} == unsaid, file.name
            read += 1
    assert read > 40


def information(document: Any) -> list[tuple[str | int, ...]]:
    return [at for at, _ in leaves(document) if at not in BOOKKEEPING]


def dotted(at: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at).removeprefix(".")


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

"""The JSON Schema and the field tree are read off the classes that load a record."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.clinic.vitals import Vital
from fhir_bridge.errors import Refused

CASES = Path(__file__).parents[2] / "fixtures" / "cases"


@pytest.mark.parametrize("kind", records.KINDS)
def test_the_schema_is_a_valid_schema_of_its_draft(kind: str) -> None:
    schema = records.json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert jsonschema_rs.meta.is_valid(documents.loads(documents.dumps(schema)))


@pytest.mark.parametrize("file", sorted(CASES.rglob("*-?.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_schema_takes_every_case(file: Path) -> None:
    record = documents.loads(file.read_bytes())
    jsonschema_rs.validate(records.json_schema(records.kind_of(record)), record)


def test_the_schema_tells_units_words_defaults_and_bounds() -> None:
    properties = records.json_schema("session")["properties"]
    reading = properties["readings"]["items"]["properties"]
    assert "in Cel" in reading["temperature"]["description"]
    assert reading["heart_rate"]["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 400}
    assert reading["state"]["default"] == "recorded"
    assert properties["care_setting"]["default"] == "clinic"
    assert "no-show" in properties["status"]["enum"]


def test_the_schema_refuses_an_unknown_field() -> None:
    session = documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes())
    assert jsonschema_rs.is_valid(records.json_schema("session"), session)
    assert not jsonschema_rs.is_valid(records.json_schema("session"), session | {"companions": 1})


def test_every_field_says_what_it_is() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        properties = schema.get("properties") or schema.get("items", {}).get("properties", {})
        below = [found for name, child in properties.items() for found in undescribed(child, f"{path}.{name}")]
        return below + ([] if schema.get("description") else [path])

    assert undescribed(records.json_schema("session"), "session") == []


def test_the_field_tree_names_what_a_template_may_speak_of() -> None:
    tree = records.fields("session")
    assert tree["readings"][0]["blood_pressure"]["systolic"] == {"": "number", "absent": "word"}
    assert tree["drugs"][0]["steps"][0]["dose"] == {"value": "number", "unit": "text"}
    assert tree["patient"]["given_names"] == ["text"]
    assert tree["headache_days"] == {"from": "date", "to": "date", "days": "integer"}


CARBON_DIOXIDE = Vital("end_tidal_co2", "mm[Hg]", 0, 150, "End-tidal carbon dioxide")


def test_a_site_may_add_a_vital_sign() -> None:
    site = records.Records([CARBON_DIOXIDE])
    session = documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes())
    assert site.load("session", session) == session
    session["readings"][0]["end_tidal_co2"] = {"value": 38, "unit": "mmHg"}
    assert site.load("session", session)["readings"][0]["end_tidal_co2"] == 38
    assert site.fields("session")["readings"][0]["end_tidal_co2"] == {"": "number", "absent": "word"}
    assert "end_tidal_co2" in site.json_schema("session")["properties"]["readings"]["items"]["properties"]
    with pytest.raises(Refused):
        records.load("session", session)


@pytest.mark.parametrize("name", ["heart_rate", "End-tidal", "taken_at"])
def test_an_added_vital_sign_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(Refused, match="unused"):
        records.Records([Vital(name, "mm[Hg]", 0, 150, "x")])

"""A broken copy of every shipped template and table is refused: each fault by its file and line, all of them at once."""

import re
from pathlib import Path

import pytest
from law_cases import ROOT

from fhir_bridge.clinic import records
from fhir_bridge.errors import Refused
from fhir_bridge.fhir import elements
from fhir_bridge.mapping import Mapping

SHIPPED = ROOT / "mappings"
SITE = {"system": "https://clinic.example/id", "extension": "https://clinic.example/extension"}
TEMPLATES = sorted(path.name for path in (SHIPPED / "templates").glob("*.yaml"))
TABLES = sorted(path.name for path in (SHIPPED / "codes").glob("*.yaml"))
FIELD = re.compile(r"<(?!ref |identity)[a-z_.$]+")
#: put in behind the line of the resource's type: what is wrong with each, and the words that say so
WRONG = {
    "  noSuchElement: x": "R4 has no such element",
    "  language: <id | number>": "which the converter number does not write",
    "  implicitRules: <id | code no-such-table>": "there is no such table",
    "  text: <ref nobody>": "there is no template nobody.yaml",
}


def faults(site: Path) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        Mapping.load([SHIPPED, site], site=SITE, fields=records.all_fields(), type_of=elements.type_of)
    return {(fault.path, fault.message) for fault in caught.value.faults}


def said(found: set[tuple[str, str]], where: str, words: str) -> bool:
    return any(path == where and words in message for path, message in found)


@pytest.mark.parametrize("name", TEMPLATES)
def test_everything_wrong_with_a_template_is_said_by_line_and_at_once(name: str, tmp_path: Path):
    lines = (SHIPPED / "templates" / name).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  resourceType:"))
    lines[start + 1 : start + 1] = [*WRONG, lines[start]]
    field = next(number for number, line in enumerate(lines) if number > start + len(WRONG) and FIELD.search(line))
    lines[field] = FIELD.sub("<no_such_field", lines[field], count=1)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / name).write_text("\n".join(lines) + "\n")
    found = faults(tmp_path)
    for number, words in enumerate(WRONG.values(), start + 2):
        assert said(found, f"{name}:{number}", words), (number, words)
    assert said(found, f"{name}:{start + len(WRONG) + 2}", "resourceType is said twice")
    assert said(found, f"{name}:{field + 1}", "no_such_field")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_second_template_that_could_take_the_same_resource_is_refused(name: str, tmp_path: Path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / f"zz-{name}").write_text((SHIPPED / "templates" / name).read_text())
    found = faults(tmp_path)
    stem = name.removesuffix(".yaml")
    assert any(path.startswith((f"{name}:", f"zz-{name}:")) and "could be read by" in words and stem in words for path, words in found)


@pytest.mark.parametrize("name", TABLES)
def test_what_is_wrong_with_a_table_is_said_by_line(name: str, tmp_path: Path):
    text = (SHIPPED / "codes" / name).read_text()
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / name).write_text(f"twice: x\n{text}\ntwice: y\n")
    last = len(text.splitlines()) + 3
    assert any(path in (f"{name}:{last}", f"{name}:{last - 1}") and "said twice" in words for path, words in faults(tmp_path))


@pytest.mark.parametrize("name", [name for name in TABLES if re.search(r"^default:", (SHIPPED / "codes" / name).read_text(), re.MULTILINE)])
def test_a_shared_code_without_its_default_is_refused_with_the_words_that_share_it(name: str, tmp_path: Path):
    text = (SHIPPED / "codes" / name).read_text()
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / name).write_text(re.sub(r"^default:.*$", "", text, flags=re.MULTILINE))
    assert any(path.startswith(f"{name}:") and "say in `default`" in words for path, words in faults(tmp_path))


@pytest.mark.parametrize("name", ["vital-signs.yaml", "symptom-scores.yaml"])
def test_a_column_that_nobody_uses_is_refused(name: str, tmp_path: Path):
    text = (SHIPPED / "codes" / name).read_text()
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / name).write_text(text.replace("{field: ", "{colour: red, field: "))
    assert any(path.startswith(f"{name}:") and "no template uses the column colour" in words for path, words in faults(tmp_path))

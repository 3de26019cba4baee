"""The examples of docs/mapping-language.md do what is said of them, both ways."""

import re
from pathlib import Path

import pytest

from fhir_bridge import documents
from fhir_bridge.mapping import Mapping

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs" / "mapping-language.md").read_text()
EXAMPLE = re.compile(
    r"<!-- example -->\n```yaml\n(.*?)```\n(?:```yaml\n# codes/([a-z-]+)\.yaml\n(.*?)```\n)?```json\n(.*?)\n(.*?)\n```", re.DOTALL
)
EXAMPLES = EXAMPLE.findall(DOC)
HEAD = "when: <id>\nidentity: <id>\nresource:\n  resourceType: Thing\n  id_of_ours: <identity>\n"


def test_every_example_of_the_document_is_found():
    assert len(EXAMPLES) == DOC.count("<!-- example -->") >= 8


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0].partition(":")[0])
def test_an_example_does_what_is_said_both_ways(example: tuple[str, ...], tmp_path: Path):
    part, table, codes, record, becomes = example
    for folder in ("templates", "codes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "templates" / "thing.yaml").write_text(HEAD + "".join(f"  {line}\n" for line in part.splitlines()))
    if table:
        (tmp_path / "codes" / f"{table}.yaml").write_text(codes)
    mapping = Mapping.load([tmp_path], site={"system": "https://clinic.example/id"})
    said = documents.loads(record.encode())
    (written,) = mapping.to_fhir(said).resources
    shown = {key: value for key, value in written.items() if key not in ("resourceType", "id", "id_of_ours")}
    assert documents.canonical(shown) == documents.canonical(documents.loads(becomes.encode()))
    assert documents.canonical(mapping.from_fhir([written]).record) == documents.canonical(said)


def test_the_worked_example_is_the_shipped_template_shortened():
    shown = re.search(r"```yaml\n# mappings/templates/blood-pressure.yaml, shortened\n(.*?)```", DOC, re.DOTALL)
    assert shown
    shipped = (ROOT / "mappings" / "templates" / "blood-pressure.yaml").read_text().replace(" with all children optional", "").splitlines()
    assert [line for line in shown[1].splitlines() if line not in shipped] == []

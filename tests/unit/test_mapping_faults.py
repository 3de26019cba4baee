"""Everything wrong with a template or table is said at load, all of it, with file and line."""

from pathlib import Path

import pytest
from thing_mapping import HEAD, faults

CODES = "source: none\ncodes: {a: A, b: B}\n"
OK = HEAD + "  word: <word | code words>\n"
FIELDS = {"id": "text", "word": "word", "name": "text", "rows": [{"key": "text", "value": "number"}]}
TYPES = {"Thing": "Thing", "Thing.identifier": "Identifier", "Thing.identifier.system": "uri", "Thing.identifier.value": "string"}
TYPES |= {"Thing.word": "code", "Thing.number": "decimal", "Thing.flag": "boolean", "Thing.other": "Reference", "Thing.list": "string"}


def one(line: str, **more: str) -> dict[str, str]:
    return {"templates/thing": OK + f"  {line}\n", "codes/words": CODES, **more}


def template(text: str) -> dict[str, str]:
    return {"templates/thing": text, "codes/words": CODES}


BROKEN = {
    "an unknown field": (one("number: <nme | number>"), "thing.yaml:7", "no record has the field"),
    "an element that R4 does not have": (one("colour: <name>"), "thing.yaml:7", "R4 has no such element"),
    "a type that does not fit": (one("number: <name>"), "thing.yaml:7", "does not write"),
    "a boolean where none belongs": (one("number: true"), "thing.yaml:7", "boolean"),
    "a reference where none belongs": (one("number: <ref thing>"), "thing.yaml:7", "not a Reference"),
    "several fields where no text belongs": (one("number: <id>/<name>"), "thing.yaml:7", "not text"),
    "a repeated key": (one("flag: true\n  flag: true"), "thing.yaml:8", "said twice"),
    "an unknown converter": (one("number: <name | roman>"), "thing.yaml:7", "not a converter"),
    "an unknown table": (one("number: <name | code nothing>"), "thing.yaml:7", "no such table"),
    "an unknown unit": (one("number: <name | quantity furlong>"), "thing.yaml:7", "no such unit"),
    "an unknown reference": (one("other: <ref nobody>"), "thing.yaml:7", "no template nobody.yaml"),
    "an unknown $name": (one("list: $colour"), "thing.yaml:7", "neither a column"),
    "nothing between two fields": (one("list: <id><name>"), "thing.yaml:7", "nothing stands between"),
    "a path that is none": (one("list: <Name>"), "thing.yaml:7", "is not a path"),
    "a number inside a text": (one("list: <id>/<name | number>"), "thing.yaml:7", "cannot be part of a text"),
    "two items alike": (one("list: [<id>, <name>]"), "thing.yaml:7", "could be taken for"),
    "an unknown word of the language": (template("colour: red\n" + OK), "thing.yaml:1", "not a word of a template"),
    "no when": (template(OK.replace("when: <id>\n", "")), "thing.yaml:1", "has no `when`"),
    "no identity": (template(OK.replace("identity: <id>\n", "")), "thing.yaml:1", "has no `identity`"),
    "a when that is no field": (template(OK.replace("when: <id>", "when: always")), "thing.yaml:1", "must be one field"),
    "a loop that is none": (template("each: rows\n" + OK), "thing.yaml:1", "must read"),
    "a loop without its key": (template("each: row in rows by key\n" + OK), "thing.yaml:5", "could not be placed"),
    "a table of rows that is not there": (template("table: nothing\n" + OK), "thing.yaml:1", "no table of rows"),
    "a one-way element that is not there": (template(OK + "to_fhir only:\n  colour: why\n"), "thing.yaml:8", "not in this resource"),
    "a one-way element without a reason": (template(OK + "to_fhir only:\n  word:\n"), "thing.yaml:8", "needs the reason"),
    "no YAML": (template(OK + "  x: [\n"), "thing.yaml:8", "is not YAML"),
    "a table that nothing uses": (one("flag: true", **{"codes/idle": CODES}), "idle.yaml:1", "no template uses"),
    "a table without its source": (one("flag: true", **{"codes/words": "codes: {a: A, b: B}\n"}), "words.yaml:1", "needs a source"),
    "a shared code without its default": (
        one("flag: true", **{"codes/words": "source: none\ncodes:\n  a: X\n  b: X\n"}),
        "words.yaml:3",
        "say in `default`",
    ),
    "a word that can never come back": (
        one("flag: true", **{"codes/words": "source: none\ncodes:\n  a: X\n  b: X\ndefault: {X: a}\n"}),
        "words.yaml:1",
        "word b comes back as a",
    ),
    "a default that is no word": (
        one("flag: true", **{"codes/words": "source: none\ncodes: {a: X}\ndefault: {X: c}\n"}),
        "words.yaml:3",
        "not among the words",
    ),
    "an alias of no word": (
        one("flag: true", **{"codes/words": "source: none\ncodes: {a: X}\nalso read: {Y: c}\n"}),
        "words.yaml:3",
        "not a word of this table",
    ),
    "an unknown word of a table": (
        one("flag: true", **{"codes/words": CODES + "color: x\n"}),
        "words.yaml:3",
        "not a word of a code table",
    ),
    "two templates alike": ({**template(OK), "templates/twin": OK}, "twin.yaml:4", "could be read by"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_told_with_its_line(name: str, tmp_path: Path):
    files, where, why = BROKEN[name]
    found = faults(tmp_path, files, fields=FIELDS, type_of=TYPES.get)
    assert [fault for fault in found if fault.startswith(f"{where}:") and why in fault], found


def test_the_mapping_they_are_broken_copies_of_is_right(tmp_path: Path):
    assert faults(tmp_path, one("flag: true"), fields=FIELDS, type_of=TYPES.get) == []


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path):
    files = one("colour: <nme>\n  list: <id><name>", **{"codes/idle": CODES})
    files["templates/other"] = HEAD.replace("Thing", "Wrong")
    found = faults(tmp_path, files, fields=FIELDS, type_of=TYPES.get)
    assert {fault.split(":")[0] for fault in found} == {"thing.yaml", "idle.yaml", "other.yaml"}
    assert len(found) >= 5

"""Small mappings for tests of the language: templates and tables written as text, no resource of FHIR among them."""

from pathlib import Path
from typing import Any

from fhir_bridge.errors import Refused
from fhir_bridge.mapping import Mapping

SITE = {"system": "https://clinic.example/id"}
HEAD = "when: <id>\nidentity: <id>\nresource:\n  resourceType: Thing\n  identifier: [{system: $system/thing, value: <identity>}]\n"


def load(folder: Path, files: dict[str, str], **known: Any) -> Mapping:
    """The mapping of `templates/NAME` and `codes/NAME` files."""
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Mapping.load([folder], site=SITE, **known)


def thing(folder: Path, lines: str, **tables: str) -> Mapping:
    """One template with these elements, and these code tables."""
    indented = "".join(f"  {line}\n" for line in lines.splitlines())
    return load(folder, {"templates/thing": HEAD + indented, **{f"codes/{name.replace('_', '-')}": text for name, text in tables.items()}})


def faults(folder: Path, files: dict[str, str], **known: Any) -> list[str]:
    """Everything that is said of files that do not load."""
    try:
        load(folder, files, **known)
    except Refused as refused:
        return [str(fault) for fault in refused.faults]
    return []


def written(mapping: Mapping, record: dict[str, Any], onto: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The one Thing that the record becomes."""
    (found,) = mapping.to_fhir(record, onto=onto or []).resources
    return found


def elements(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in ("resourceType", "id", "identifier")}

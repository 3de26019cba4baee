"""YAML files as located text: every scalar is read as text, every node knows its file and line, a repeated key is a fault.

Faults are collected, never raised one by one: a person who mends a template wants to see all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fhir_bridge.errors import Fault

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_QUOTES = ("'", '"', "|", ">")
type_names = {str: "text", dict: "a map", list: "a list"}


@dataclass(slots=True)
class Faults:
    """All that is wrong with the files being loaded."""

    found: list[Fault] = field(default_factory=list)

    def add(self, at: "Located | str", message: str) -> None:
        self.found.append(Fault(at if isinstance(at, str) else at.where, message))


@dataclass(frozen=True, slots=True)
class Located:
    """A YAML node: `value` is text, a dict of text to Located, or a list of Located; `where` is `file.yaml:12`."""

    value: "str | dict[str, Located] | list[Located]"
    where: str
    quoted: bool = False

    def text(self, faults: Faults) -> str:
        if isinstance(self.value, str):
            return self.value
        faults.add(self, "must be text")
        return ""

    def map(self, faults: Faults) -> "dict[str, Located]":
        if isinstance(self.value, dict):
            return self.value
        if self.value != "":
            faults.add(self, f"must be a map, and is {type_names[type(self.value)]}")
        return {}

    def items(self, faults: Faults) -> "list[Located]":
        if isinstance(self.value, list):
            return self.value
        faults.add(self, f"must be a list, and is {type_names[type(self.value)]}")
        return []

    def is_null(self) -> bool:
        return self.value in ("", "~", "null") and not self.quoted


def load(path: Path, faults: Faults) -> Located | None:
    """The one document in the file, or nothing when it cannot be read (which is a fault)."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        faults.add(f"{path.name}:{mark.line + 1 if mark else 1}", f"is not YAML: {getattr(error, 'problem', None) or 'cannot be read'}")
        return None
    return _located(node, path.name, faults) if node else Located({}, f"{path.name}:1")


def found_in(folders: "tuple[Path, ...]", part: str) -> Iterator[Path]:
    """The YAML files of `part` in all folders by name; a later folder's file takes the place of an earlier one's."""
    files = {path.name: path for folder in folders for path in sorted((folder / part).glob("*.yaml"))}
    return (files[name] for name in sorted(files))


def _located(node: yaml.Node, file: str, faults: Faults) -> Located:
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.ScalarNode):
        return Located(node.value, where, quoted=node.style in _QUOTES)
    if isinstance(node, yaml.SequenceNode):
        return Located([_located(item, file, faults) for item in node.value], where)
    found: dict[str, Located] = {}
    for key, value in node.value:
        if key.value in found:
            faults.add(f"{file}:{key.start_mark.line + 1}", f"{key.value} is said twice; keep one of them")
        found[key.value] = _located(value, file, faults)
    return Located(found, where)

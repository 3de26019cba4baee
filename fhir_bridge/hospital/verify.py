"""After a lost answer: the searches that would find what the attempt wrote, and what their answers mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.exchange import Call
from fhir_bridge.hospital.plan import Write
from fhir_bridge.hospital.reply import Entry


@dataclass(frozen=True, slots=True)
class Adopt:
    """Exactly one match: the hospital has it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Nothing:
    """No match: after the settle time (10 minutes, three looks) it may be sent again."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several matches: a person decides, never a guess. `ids` are the hospital's."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsearchable:
    """This server offers no search that would find it: a person looks."""

    reason: str


def searches(write: Write, capabilities: Capabilities, known: Mapping[str, str]) -> tuple[Call, ...]:
    """The calls to make, best first; the first that answers decides. Empty: the server offers none (see `Unsearchable`)."""
    raise NotImplementedError


def found(write: Write, answer: dict[str, Any] | None, known: Mapping[str, str]) -> Adopt | Nothing | Several:
    """What `answer` (a searchset Bundle, the resource read, or None for 404/410) says about `write`."""
    raise NotImplementedError

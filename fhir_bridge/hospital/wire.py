"""What a step looks like on the wire. Pure: documents in, `Call` out."""

from collections.abc import Mapping
from typing import Any

from fhir_bridge.hospital.exchange import Call
from fhir_bridge.hospital.plan import Step


def substitute(resource: dict[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """A copy of `resource` whose references to our keys (`Patient/<our id>`) are the hospital's (`known[key]` = `Patient/<their id>`)."""
    raise NotImplementedError


def call_of(step: Step, known: Mapping[str, str], *, etags: Mapping[str, str] | None = None) -> Call:
    """The request of `step`. `known` maps our keys to the hospital's `Type/id`; `etags` overrides ETags by our key (after a re-read)."""
    raise NotImplementedError


def halves(step: Step) -> tuple[Step, ...]:
    """`step` as two smaller ones in the same order, to find the entry a server refuses; one write cannot be divided."""
    raise NotImplementedError

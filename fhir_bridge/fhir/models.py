"""The second opinion: what `fhir.resources` (its R4B models; R4B equals R4 for our types) says of a resource.

The models only judge. Documents are never read from or written by them: they turn 36.80 into 36.8 and `Z` times into others.
Imported at first use, since the models cost 0.15 s.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from fhir_bridge.errors import Fault
from fhir_bridge.fhir import elements
from fhir_bridge.fhir.paths import joined


def second_opinion(resource: Any) -> list[Fault]:
    """What the models refuse in `resource`, which is not changed; an empty list when nothing. Never raises, never shows a value."""
    from pydantic import ValidationError

    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or kind not in elements.resource_names():
        return [Fault("resourceType", "is no resource type of R4")]
    try:
        _model(kind).model_validate(resource)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        return [Fault(_path(kind, e["loc"]), _MESSAGES.get(e["type"], f"is refused by the R4B model ({e['type']})")) for e in details]
    except RecursionError:
        return [Fault(kind, "is nested too deep")]
    except (KeyError, LookupError, ImportError):  # an unknown resourceType inside is no ValidationError there
        return [Fault(kind, "holds a resource of a type that R4 does not have")]
    except (ValueError, TypeError, AttributeError):  # the models trip over some shapes instead of refusing them
        return [Fault(kind, "has a shape the R4B model cannot read")]
    return []


def _model(kind: str) -> Any:
    return getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)


def _path(kind: str, steps: Sequence[str | int]) -> str:
    """Pydantic's place as FHIRPath; the class names it puts between are no steps of the document."""
    return joined(kind, [step for step in steps if isinstance(step, int) or not step[:1].isupper()])


_MESSAGES = {
    "extra_forbidden": "is no element of R4; remove it",
    "missing": "is required; add it",
}

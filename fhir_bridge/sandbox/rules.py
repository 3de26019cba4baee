"""What a vendor demands of a resource beyond FHIR, as data: a path that must be there, must not, or must be one of some values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_bridge.sandbox import parameters
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.store import Document


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A demand on `path` of a `type`: `needs` at least and `allows` at most so many values, each `one_of` or not `none_of`.

    `any_of` is enough of one value. A path may be several, with `|` between them, counted together.
    `on` is `create`, `update` or `any`; `when` holds path: value pairs that must be found for the rule to apply. `code` is the
    vendor's own code inside the OperationOutcome.
    """

    type: str
    path: str
    text: str
    on: str = "any"
    needs: int = 0
    allows: int | None = None
    one_of: Sequence[Any] = ()
    none_of: Sequence[Any] = ()
    any_of: Sequence[Any] = ()
    when: Mapping[str, Any] | None = None
    status: int = 422
    code: str = ""
    system: str = ""


def require_rules(rules: Sequence[Rule], document: Document, *, creating: bool) -> None:
    """Refuses the first demand that is not met."""
    for rule in rules:
        if rule.type == document["resourceType"] and _applies(rule, document, creating=creating) and not _met(rule, document):
            details = {"coding": [{"system": rule.system, "code": rule.code}]} if rule.code else None
            raise Rejected(rule.status, rule.text, "business-rule", details=details)


def require_transition(allowed: Mapping[str, Sequence[str]] | None, old: Document, new: Document) -> None:
    """Refuses a change of status the vendor does not know; None knows all."""
    before, after = str(old.get("status")), str(new.get("status"))
    if allowed is not None and before != after and after not in allowed.get(before, ()):
        raise Rejected(422, f"{new['resourceType']}.status cannot go from {before} to {after}", "business-rule")


def _applies(rule: Rule, document: Document, *, creating: bool) -> bool:
    if rule.on != "any" and (rule.on == "create") != creating:
        return False
    return all(value in _found(document, path) for path, value in (rule.when or {}).items())


def _met(rule: Rule, document: Document) -> bool:
    found = _found(document, rule.path)
    if len(found) < rule.needs or (rule.allows is not None and len(found) > rule.allows):
        return False
    if rule.any_of and not any(value in rule.any_of for value in found):
        return False
    return all((not rule.one_of or value in rule.one_of) and value not in rule.none_of for value in found)


def _found(document: Document, path: str) -> list[Any]:
    return [value for part in path.split("|") for value in parameters.values(document, part)]

"""What the hospital's door can do, said in FHIR: exactly the interactions that exist. The routes are made from the same table."""

from typing import Any

from fhir_bridge import __version__
from fhir_bridge.sync.referrals.query import PARAMETERS
from fhir_bridge.sync.referrals.shape import ORDER, PATIENT, TASK

DATE = "2026-11-28"
_HELD = ("read", "vread", "update", "history-instance", "search-type")
#: type → what can be done with it
INTERACTIONS = {ORDER: ("create", *_HELD), TASK: ("create", *_HELD), PATIENT: ("read", "search-type")}
#: what can be shown first, to hear whether it would be taken
VALIDATED = (ORDER, TASK, PATIENT, "Bundle")
_VALIDATE = {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}
_MESSAGING = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_SIGN_IN = (
    "SMART Backend Services: sign in at the token endpoint that .well-known/smart-configuration names, with public keys the clinic's "
    "administrator registers. Where that cannot be, Authorization: Bearer with a key he issues. This statement is open to all."
)
_RULES = (
    "The Patient must be sent contained or in the Bundle; only a Task's focus is fetched, from an address the clinic allows. "
    "A sender reads, finds and changes its own referrals and nobody else's. Nothing is deleted: a referral is taken back by status. "
    "An update leaves what the clinic says as it is; If-Match is heeded and not required. A batch's entries stand alone, and none refers "
    "to another: send a referral of several resources as a transaction."
)


def statement(base: str) -> dict[str, Any]:
    """The CapabilityStatement of the door at `base`."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "fhir-bridge", "version": __version__},
        "implementation": {"description": "Referrals to a headache infusion clinic", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _RULES,
                "security": {"service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}]}], "description": _SIGN_IN},
                "resource": [*(_resource(kind) for kind in INTERACTIONS), {"type": "Bundle", "operation": [_VALIDATE]}],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [{"name": "process-message", "definition": _MESSAGING}],
            }
        ],
    }


def _resource(kind: str) -> dict[str, Any]:
    can = INTERACTIONS[kind]
    made: dict[str, Any] = {"type": kind, "interaction": [{"code": one} for one in can], "versioning": "versioned"}
    made |= {"readHistory": "vread" in can, "updateCreate": False, "conditionalCreate": "create" in can, "conditionalRead": "not-match"}
    named = [one for one in PARAMETERS if kind in one.types and "." not in one.name]  # a chain is not a parameter of its own
    made["searchParam"] = [{"name": one.name, "type": one.kind, "documentation": one.meaning} for one in named]
    operations = [_VALIDATE] if kind in VALIDATED else []
    operations += [{"name": "referral-request", "definition": _MESSAGING}] if kind == ORDER else []
    return made | ({"operation": operations} if operations else {})

"""What the hospital's door can do, said in FHIR: exactly the interactions that exist."""

from typing import Any

from fhir_bridge import __version__

DATE = "2026-11-22"
_MESSAGING = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
_SIGN_IN = "Authorization: Bearer with a key that the clinic's administrator issues to the hospital. This statement is open to all."
_NO_FETCHING = "The Patient, and a Task's focus, must be sent contained or in the Bundle: nothing is fetched from the sender."


def statement(base: str) -> dict[str, Any]:
    """The CapabilityStatement of the door at `base`."""
    interactions = [{"code": "create"}, {"code": "read"}]
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
                "documentation": _NO_FETCHING,
                "security": {"description": _SIGN_IN},
                "resource": [
                    {
                        "type": "ServiceRequest",
                        "interaction": interactions,
                        "versioning": "versioned",
                        "operation": [{"name": "referral-request", "definition": _MESSAGING}],
                    },
                    {"type": "Task", "interaction": interactions, "versioning": "versioned"},
                ],
                "interaction": [{"code": "transaction"}],
                "operation": [{"name": "process-message", "definition": _MESSAGING}],
            }
        ],
    }

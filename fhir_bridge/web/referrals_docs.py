"""What /openapi.json says of the referral inbox."""

from typing import Any

from fhir_bridge.clinic import words
from fhir_bridge.web.clinic_docs import STORED, as_json, errors

_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["id", "version", "status", "received_at", "sender", "record"],
    "properties": {
        "id": {"type": "string"},
        "version": {"type": "integer"},
        "status": {"enum": list(words.REFERRAL_STATES)},
        "received_at": {"type": "string", "format": "date-time"},
        "sender": {"type": "string", "description": "The hospital's client that sent it."},
        "record": {"$ref": "#/components/schemas/referral"},
    },
}
PAGE: dict[str, Any] = {
    "type": "object",
    "description": "Referrals, the newest first; `next` is the cursor of the page behind this one.",
    "required": ["referrals"],
    "properties": {"referrals": {"type": "array", "items": _ITEM}, "next": {"type": "string"}},
}


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": description, "schema": schema}


LIST: dict[str, Any] = {
    "operationId": "listReferrals",
    "summary": "The referrals of this site, the newest first",
    "parameters": [
        _parameter("status", "Only those that stand here.", enum=list(words.REFERRAL_STATES)),
        _parameter("limit", "How many at most.", type="integer", minimum=1, maximum=200, default=50),
        _parameter("cursor", "`next` of the page before.", type="string"),
    ],
    "responses": {"200": {"description": "One page.", "content": as_json("ReferralPage")}, **errors("400", "401", "422", "503")},
}
GET: dict[str, Any] = {
    "operationId": "getReferral",
    "summary": "A referral, what was left out of it, and how far its news came to the hospital",
    "responses": {"200": {"description": "The record and its deliveries.", "content": as_json("Progress")}, **errors("401", "404", "503")},
}
_SESSIONS = {"sessions": {"type": "array", "items": {"type": "string"}, "description": "Numbers of the sessions that answer the referral."}}
_BODIES: dict[str, dict[str, Any]] = {
    "accept": {},
    "decline": {"reason": {"type": "string", "description": "Why; the hospital reads it."}},
    "schedule": _SESSIONS,
    "complete": _SESSIONS,
}


def decision(verb: str) -> dict[str, Any]:
    """The description of `POST …/{verb}`."""
    schema = {"type": "object", "properties": _BODIES[verb], "additionalProperties": False}
    if verb == "decline":
        schema["required"] = ["reason"]
    return {
        "operationId": f"{verb}Referral",
        "summary": f"{verb.capitalize()} the referral; the hospital is told",
        "description": "Once made, the same decision again gets the same answer; 409 when the referral stands where it cannot be made.",
        "requestBody": {"required": verb == "decline", "content": {"application/json": {"schema": schema}}},
        "responses": {"202": STORED, **errors("400", "401", "404", "409", "413", "415", "422", "503")},
    }

"""What /openapi.json says of the referral inbox."""

from typing import Any

from fhir_bridge.clinic import words
from fhir_bridge.web.clinic_docs import STORED, as_json, errors

_STUCK: dict[str, Any] = {
    "stuck": {"type": "string", "examples": ["undecided", "unheard", "not-fetched", "unreadable"], "description": "Where it is stuck."},
    "since": {"type": "string", "format": "date-time"},
    "days": {"type": "integer"},
    "who": {"enum": ["clinic", "hospital", "admin"], "description": "Who must act."},
    "do": {"type": "string", "description": "What to do, in words."},
}
_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["id", "version", "status", "received_at", "sender", "match", "record"],
    "properties": {
        "id": {"type": "string"},
        "version": {"type": "integer"},
        "status": {"enum": list(words.REFERRAL_STATES)},
        "received_at": {"type": "string", "format": "date-time"},
        "sender": {"type": "string", "description": "The hospital's client that sent it."},
        "match": {
            "type": "object",
            "required": ["verdict"],
            "description": "Whose patient it is: `open` waits for a person and goes to no hospital until then.",
            "properties": {"verdict": {"enum": ["open", "joined", "new"]}},
        },
        "orphan": {
            "type": "object",
            "description": "Why nobody moves it: where it is stuck, since when, who must act, and what to do.",
            "properties": _STUCK,
        },
        "record": {"$ref": "#/components/schemas/referral"},
    },
}
PAGE: dict[str, Any] = {
    "type": "object",
    "description": "Referrals, the newest first; `next` is the cursor of the page behind this one.",
    "required": ["referrals"],
    "properties": {"referrals": {"type": "array", "items": _ITEM}, "next": {"type": "string"}},
}

ORPHAN_PAGE: dict[str, Any] = {
    "type": "object",
    "description": "What neither side is moving, the longest stuck first; `next` is the cursor of the page behind this one.",
    "required": ["orphans"],
    "properties": {
        "orphans": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "status", *_STUCK],
                "properties": {
                    "id": {
                        "type": "string",
                        "description": "The referral's; of one that is `not-fetched` that of the hospital's Task here.",
                    },
                    "status": {"enum": list(words.REFERRAL_STATES)},
                    **_STUCK,
                },
            },
        },
        "next": {"type": "string"},
    },
}
PAGES = {"ReferralPage": PAGE, "OrphanPage": ORPHAN_PAGE}


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "description": description, "schema": schema}


_PAGED = [
    _parameter("limit", "How many at most.", type="integer", minimum=1, maximum=200, default=50),
    _parameter("cursor", "`next` of the page before.", type="string"),
]
LIST: dict[str, Any] = {
    "operationId": "listReferrals",
    "summary": "The referrals of this site, the newest first",
    "parameters": [
        _parameter("status", "Only those that stand here.", enum=list(words.REFERRAL_STATES)),
        _parameter("match", "`open`: those for which a person must say whose patient it is.", enum=["open"]),
        _parameter("orphan", "`true`: those that neither side is moving; without the other filters.", type="boolean", default=False),
        *_PAGED,
    ],
    "responses": {"200": {"description": "One page.", "content": as_json("ReferralPage")}, **errors("400", "401", "422", "503")},
}
ORPHANS: dict[str, Any] = {
    "operationId": "listOrphans",
    "summary": "What neither side is moving: loops, and orders that could not be fetched or read, of which there is no referral",
    "parameters": [
        _parameter("days", "Stuck for so many days, wherever they stand; else by state.", type="integer", minimum=0, maximum=3650),
        *_PAGED,
    ],
    "responses": {"200": {"description": "One page.", "content": as_json("OrphanPage")}, **errors("400", "401", "503")},
}
GET: dict[str, Any] = {
    "operationId": "getReferral",
    "summary": "A referral, what was left out of it, and how far its news came to the hospital",
    "responses": {"200": {"description": "The record and its deliveries.", "content": as_json("Progress")}, **errors("401", "404", "503")},
}
ATTACHMENT: dict[str, Any] = {
    "operationId": "getAttachment",
    "summary": "A document that came along with a referral, byte for byte",
    "description": "By its number in the record's `attachments`, which say its title and type. What is elsewhere stays there.",
    "responses": {
        "200": {
            "description": "The document.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **errors("401", "404", "503"),
    },
}
_SESSIONS = {"sessions": {"type": "array", "items": {"type": "string"}, "description": "Numbers of the sessions that answer the referral."}}
_REASON = {"reason": {"type": "string", "description": "Why; the hospital reads it."}}
_BODIES: dict[str, dict[str, Any]] = {
    "accept": {},
    "decline": _REASON,
    "schedule": _SESSIONS,
    "complete": _SESSIONS,
    "hold": _REASON,
    "cancel": _REASON,
    "fail": _REASON,
}
_ABOUT = {
    "accept": "Take the patient, or take a referral up again that was on hold",
    "decline": "Do not take the patient, and say why",
    "schedule": "Say that sessions are planned",
    "complete": "Say that all that was asked for is done",
    "hold": "Put the referral on hold, and say why",
    "cancel": "Cancel what was begun, and say why",
    "fail": "Say that what was begun could not be carried out, and why",
}
MATCH: dict[str, Any] = {
    "operationId": "matchReferral",
    "summary": "Say whose patient it is",
    "description": "A known patient's number joins the referral to them; `new` makes a patient, under the number given or one of ours. "
    "GET shows the candidates beside what the hospital told. What was held back goes to the hospital with this.",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"patient": {"type": "string", "examples": ["P-1"]}, "new": {"type": "boolean"}},
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": {"202": STORED, **errors("400", "401", "404", "409", "413", "415", "422", "503")},
}


def decision(verb: str) -> dict[str, Any]:
    """The description of `POST …/{verb}`."""
    schema = {"type": "object", "properties": _BODIES[verb], "additionalProperties": False}
    reasoned = "reason" in _BODIES[verb]
    if reasoned:
        schema["required"] = ["reason"]
    return {
        "operationId": f"{verb}Referral",
        "summary": f"{_ABOUT[verb]}; the hospital is told",
        "description": "Once made, the same decision again gets the same answer; 409 when the referral stands where it cannot be made.",
        "requestBody": {"required": reasoned, "content": {"application/json": {"schema": schema}}},
        "responses": {"202": STORED, **errors("400", "401", "404", "409", "413", "415", "422", "503")},
    }

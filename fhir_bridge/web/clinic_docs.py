"""What /openapi.json says of the clinic's routes beyond their paths; the records' shapes are the clinic's own schemas."""

from collections.abc import Iterable
from typing import Any

from fhir_bridge.clinic.records import KINDS, Records
from fhir_bridge.sync.bridge import Site
from fhir_bridge.web import problems

ERRORS = {
    "400": "The body is not JSON, or a header is not as it must be.",
    "401": "No API key, or one that is unknown or revoked.",
    "404": "No record of yours has this id.",
    "409": "This version is stored with another content, or a request with this key is being answered right now.",
    "413": "The body is too long.",
    "415": "The body is not labelled application/json, or is encoded.",
    "422": "The document was refused, every fault named by its path; or the Idempotency-Key was used with another body.",
    "429": "Refused too often from this address; wait Retry-After seconds.",
    "503": "Busy or without its database; nothing was stored. Send it again after Retry-After seconds.",
}

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
ACCEPTED: dict[str, Any] = {
    "type": "object",
    "description": "The record is on durable storage, and on its way to every hospital of the site.",
    "required": ["id", "version", "status", "url", "hospitals"],
    "properties": {
        "id": _TEXT,
        "version": {"type": "integer"},
        "status": {"const": "accepted"},
        "url": {"type": "string", "description": "Ask here how far it came."},
        "hospitals": {"type": "array", "items": _TEXT},
    },
}
RESOURCE: dict[str, Any] = {
    "type": "object",
    "description": "One resource the record became: our name of it, the hospital's, and whether the hospital kept it as sent.",
    "required": ["ours"],
    "properties": {
        "ours": _TEXT,
        "theirs": {"type": ["string", "null"]},
        "version": {"type": ["string", "null"]},
        "sent_at": _TIME,
        "kept": {"type": ["object", "null"]},
    },
}
DELIVERY: dict[str, Any] = {
    "type": "object",
    "description": "The record's way to one hospital; `card` says what happened and who must act when it stopped.",
    "required": ["id", "hospital", "version", "state", "changed_at", "attempts", "resources"],
    "properties": {
        "id": _TEXT,
        "hospital": _TEXT,
        "version": {"type": "integer"},
        "state": {"enum": ["pending", "sending", "ambiguous", "retry_wait", "delivered", "dead", "discarded", "superseded"]},
        "changed_at": _TIME,
        "next_at": {**_TIME, "description": "When it is tried again."},
        "reason": _TEXT,
        "card": {"type": "object"},
        "attempts": {"type": "array", "items": {"type": "object"}},
        "resources": {"type": "array", "items": RESOURCE},
    },
}
PROGRESS: dict[str, Any] = {
    "type": "object",
    "description": "The newest version of the record, and its delivery to each hospital.",
    "required": ["id", "version", "stored_at", "record", "deliveries"],
    "properties": {
        "id": _TEXT,
        "version": {"type": "integer"},
        "stored_at": _TIME,
        "record": {"anyOf": [{"$ref": f"#/components/schemas/{kind}"} for kind in KINDS]},
        "deliveries": {"type": "array", "items": DELIVERY},
        "conflicts": {
            "type": "array",
            "description": "What a hospital has otherwise, and keeps until a person decides (fhir-bridge conflicts)",
            "items": {"type": "object"},
        },
    },
}
ANSWERS = {"Accepted": ACCEPTED, "Progress": PROGRESS, "Problem": problems.SCHEMA}


def schemas(sites: Iterable[Site]) -> dict[str, Any]:
    """The records as any of `sites` may send them, with the vital signs that their tables add, and what is answered."""
    vitals = {vital.field: vital for site in sites for vital in site.records.vitals}
    kinds = Records(vitals.values())
    return {kind: kinds.json_schema(kind) for kind in KINDS} | ANSWERS


def as_json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def errors(*codes: str) -> dict[str, Any]:
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told = [*codes, *(["429"] if "401" in codes else [])]
    return {code: {"description": ERRORS[code], "content": content} for code in told}


IDEMPOTENCY_KEY: dict[str, Any] = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Yours to choose, one per request you mean to make. Without it the record's id and version serve.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
STORED: dict[str, Any] = {
    "description": "Stored, and on its way.",
    "content": as_json("Accepted"),
    "headers": {"Location": {"description": "The record's URL.", "schema": {"type": "string"}}},
}
POST_SESSION: dict[str, Any] = {
    "operationId": "postSession",
    "summary": "Hand over a session, or a corrected version of one",
    "description": (
        "A 202 means stored. Send the same request again when you heard nothing: the same Idempotency-Key and body get the first "
        "answer again. A correction is the same id with a higher version and says why."
    ),
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {"required": True, "content": as_json("session")},
    "responses": {
        "202": STORED,
        **errors("400", "401", "409", "413", "415", "422", "503"),
    },
}
GET_SESSION: dict[str, Any] = {
    "operationId": "getSession",
    "summary": "A session, how far it came, what was sent and what the hospital kept",
    "responses": {"200": {"description": "The record and its deliveries.", "content": as_json("Progress")}, **errors("401", "404", "503")},
}

"""What /openapi.json says of the changes feed."""

from typing import Any

from fhir_bridge.sync import changes
from fhir_bridge.web.clinic_docs import as_json, errors

MOST = 1000
_TEXT = {"type": "string"}
CHANGE: dict[str, Any] = {
    "type": "object",
    "description": "One change: which record, what happened to it, and where to read it. Never what is in it.",
    "required": ["cursor", "at", "what", "kind", "id", "by"],
    "additionalProperties": False,
    "properties": {
        "cursor": {"type": "integer", "description": "Its number; every later change has a higher one."},
        "at": {"type": "string", "format": "date-time"},
        "what": {
            "type": "string",
            "pattern": rf"^[a-z]+\.({'|'.join(sorted(set(changes.WORDS.values())))})$",
            "examples": ["referral.received", "appointment.changed", "session.delivered"],
        },
        "kind": {"type": "string", "examples": ["session", "appointment", "referral", "conflict"]},
        "id": {"type": "string", "description": "The record's id."},
        "by": {"type": "string", "description": "The client, person or worker who did it; hospital:NAME for what a hospital changed."},
        "version": {"type": "integer", "description": "The record's version it is about."},
        "hospital": {"type": "string", "description": "The hospital it went to, or came from."},
        "kept": {"type": "boolean", "description": "Of a delivery: whether the hospital keeps all of it as sent."},
        "url": {"type": "string", "description": "Read the record here."},
    },
}
PAGE: dict[str, Any] = {
    "type": "object",
    "description": "Changes in the order of their commits; ask again with `next` as `after`.",
    "required": ["changes", "next"],
    "properties": {"changes": {"type": "array", "items": CHANGE}, "next": {"type": "integer", "minimum": 0}},
}
GET: dict[str, Any] = {
    "operationId": "listChanges",
    "summary": "Everything that changed since a cursor, in the order of commits",
    "description": (
        "Begin with after=0, keep `next`, and ask again with it. Nothing is missed and nothing comes twice, whoever writes meanwhile. A "
        "page that is not full is the end for now."
    ),
    "parameters": [
        {"in": "query", "name": "after", "description": "`next` of the page before.", "schema": {"type": "integer", "minimum": 0}},
        {
            "in": "query", "name": "limit", "description": "How many at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100},
        },
    ],
    "responses": {"200": {"description": "One page.", "content": as_json("ChangePage")}, **errors("400", "401", "503")},
}  # fmt: skip

"""What a request's body must be before anything reads it: JSON by its label, not encoded, not too large, not too deep."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Request

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.web.problems import Problem

MAX_KEY_LENGTH = 255


def read_object(request: Request, *, media_types: Sequence[str] = ()) -> tuple[dict[str, Any], bytes]:
    """The JSON object of `request` and its bytes as sent; `media_types` are the labels taken, any of JSON without.

    Raises `Problem` 400, 413 or 415.
    """
    _check_headers(request, media_types)
    body = request.get_data(cache=False)
    try:
        document = documents.loads(body)
        if not isinstance(document, dict):
            raise Refused([Fault("", "the document must be one JSON object")])
    except Refused as refused:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body could not be read as JSON.", faults=refused.faults) from None
    return document, body


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header, or None; raises `Problem` 400 unless it is 1 to 255 visible ASCII characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise Problem(HTTPStatus.BAD_REQUEST, f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} visible ASCII characters.")
    return key


def _check_headers(request: Request, media_types: Sequence[str]) -> None:
    if (length := request.content_length) is not None and length > documents.MAX_BYTES:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {documents.MAX_BYTES} bytes; send it in parts.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.", headers={"Accept-Encoding": "identity"})
    taken = media_types[0] if media_types else "application/json"
    if request.mimetype not in media_types if media_types else not request.is_json:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {taken}.", headers={"Accept": taken})
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON in UTF-8.", headers={"Accept": taken})

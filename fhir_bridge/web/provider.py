"""Flask's JSON, replaced by ours: decimals keep their digits in replies, and what the door refuses is refused everywhere."""

from typing import Any

from flask import Response
from flask.json.provider import JSONProvider

from fhir_bridge import documents


class DocumentProvider(JSONProvider):
    """`flask.json` and `jsonify` on `fhir_bridge.documents`."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return documents.pretty(obj) if kwargs.get("indent") else documents.dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return documents.loads(s.encode() if isinstance(s, str) else s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(documents.dumps(self._prepare_response_obj(args, kwargs)), content_type="application/json")

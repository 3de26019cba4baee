"""A server that is not ours, borrowed: all that is written to it through here carries a tag and is deleted at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from werkzeug import Request, Response

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.sandbox.running import running

TAG_SYSTEM = "https://fhir-bridge.example/test-run"
PASSED_ON = ("Accept", "Cache-Control", "Content-Type", "If-Match", "If-None-Exist", "If-None-Match", "Prefer", "X-Request-ID")
PASSED_BACK = ("Content-Location", "Content-Type", "ETag", "Last-Modified", "Location", "X-Request-ID")
Document = dict[str, Any]


@contextmanager
def borrowed(base_url: str, *, run: str) -> Iterator[str]:
    """An address on this machine that passes everything on to `base_url`; raises at the end if something could not be deleted."""
    with requests.Session() as session:
        relay = Relay(session, base_url, run)
        with running(relay) as here:
            relay.here = here.base_url
            yield here.base_url
        if left := relay.delete_all():
            raise RuntimeError(f"not deleted at {base_url}: {', '.join(left)}; look for the tag {TAG_SYSTEM}|{run}")


@dataclass
class Relay:
    """A WSGI app. `written` are the relative addresses of what was stored through it, in order."""

    session: requests.Session
    base_url: str
    run: str
    here: str = ""
    written: list[str] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """One request there and back, with addresses rewritten both ways."""
        request = Request(environ)
        path = request.path.removeprefix("/fhir") + (f"?{request.query_string.decode()}" if request.query_string else "")
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        reply = self.session.request(
            request.method, self.base_url + path, data=self._tagged(request.get_data()), headers=headers, timeout=60, allow_redirects=False
        )
        self._remember(reply)
        back = {name: reply.headers[name].replace(self.base_url, self.here) for name in PASSED_BACK if name in reply.headers}
        content = reply.content.replace(self.base_url.encode(), self.here.encode())
        return Response(content, reply.status_code, back)(environ, start_response)

    def delete_all(self) -> list[str]:
        """Delete what was written, the newest first; again while that helps, because what is referred to goes last. What is left."""
        left = list(dict.fromkeys(reversed(self.written)))
        for _ in range(len(left)):
            refused = [path for path in left if self.session.delete(f"{self.base_url}/{path}", timeout=60).status_code >= 400]
            gone, left = len(left) - len(refused), refused
            if not gone:
                break
        return [path for path in left if self.session.get(f"{self.base_url}/{path}", timeout=60).status_code not in (404, 410)]

    def _tagged(self, body: bytes) -> bytes:
        try:
            document = documents.loads(body)
        except Refused:  # a test of broken input: passed on as it is
            return body
        if not isinstance(document, dict) or "resourceType" not in document:
            return body
        for resource in (
            [entry.get("resource") for entry in document.get("entry", [])] if document["resourceType"] == "Bundle" else [document]
        ):
            if isinstance(resource, dict) and isinstance(resource.setdefault("meta", {}), dict):
                resource["meta"]["tag"] = [*resource["meta"].get("tag", []), {"system": TAG_SYSTEM, "code": self.run}]
        return documents.dumps(document)

    def _remember(self, reply: requests.Response) -> None:
        if reply.request.method in ("POST", "PUT") and reply.status_code in (200, 201):
            places = [reply.headers.get("Location", ""), reply.headers.get("Content-Location", "")]
            places += [entry.get("response", {}).get("location", "") for entry in _entries(reply)]
            relative = [place.removeprefix(self.base_url).strip("/").split("/_history")[0] for place in places]
            self.written += [place for place in relative if place.count("/") == 1 and not place.startswith("Bundle/")]


def _entries(reply: requests.Response) -> list[Document]:
    try:
        found = reply.json()
    except ValueError:
        return []
    return found.get("entry", []) if found.get("type") in ("transaction-response", "batch-response") else []

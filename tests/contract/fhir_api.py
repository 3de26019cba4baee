"""What the bridge relies on in a FHIR server, said once and asked of the sandbox and of a real HAPI 8.8.0 alike.

Nothing here assumes an empty server: each test writes under identifiers and ids of its own. What HAPI does only in a race
(409, doubled conditional updates) is not here, since no test could ask for it twice and get the same.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import requests

FHIR_JSON = "application/fhir+json"
SYSTEM = "https://clinic.example/contract"
TAG_SYSTEM = "https://clinic.example/test-run"


class Api:
    """The server under test, one method a verb; a path starts below the base address."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Cache-Control": "no-cache", "Content-Type": FHIR_JSON} | {k.replace("_", "-"): v for k, v in headers.items()}
        address = path if path.startswith("http") else f"{self.base_url}/{path}".rstrip("/")
        return self.session.request(verb, address, data=data, headers=sent, timeout=60)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> requests.Response:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> requests.Response:
        return self.send("DELETE", path, **headers)

    def search(self, path: str) -> list[dict[str, Any]]:
        """The resources of one page of a search, which must succeed."""
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return [entry["resource"] for entry in reply.json().get("entry", [])]

    def walk(self, path: str) -> Iterator[dict[str, Any]]:
        """The entries of all pages."""
        address: str | None = path
        while address:
            bundle = self.get(address).json()
            yield from bundle.get("entry", [])
            address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


def patient(key: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": key}], "name": [{"family": "Invented"}]} | more


def observation(key: str, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Observation",
        "identifier": [{"system": SYSTEM, "value": key}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-03-02T09:00:00-05:00",
    }
    return found | more


def by(key: str, kind: str = "Patient") -> str:
    return f"{kind}?identifier={SYSTEM}%7C{key}"


def condition(key: str) -> str:
    return f"identifier={SYSTEM}%7C{key}"


def transaction(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, *, full_url: str = "", **request: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url} | request}
    if full_url:
        found["fullUrl"] = full_url
    return found | ({"resource": resource} if resource else {})


def refused(reply: requests.Response, status: int, *texts: str) -> None:
    """The reply is this status and an OperationOutcome that says these things."""
    assert reply.status_code == status, reply.text
    outcome = reply.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["severity"] == "error"
    for text in texts:
        assert text in outcome["issue"][0]["diagnostics"]


def milliseconds(text: str) -> str:
    """An instant as a search value: with milliseconds and Z."""
    return datetime.fromisoformat(text).isoformat(timespec="milliseconds").replace("+00:00", "Z")

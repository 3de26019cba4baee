"""What HAPI was recorded to answer, the sandbox answers too: status, versions, places, entries, links and kinds of issue."""

import uuid
from typing import Any

import pytest
import recordings

from fhir_bridge import documents
from fhir_bridge.sandbox import profile
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app


@pytest.fixture(scope="module")
def answered() -> dict[str, recordings.Recording]:
    with running(create_app(profile.load("hapi"))) as found:
        replies = recordings.record(found.base_url, uuid.uuid4())
    return {name: documents.loads(documents.canonical(reply)) for name, reply in replies.items()}


@pytest.mark.parametrize("name", recordings.names())
def test_the_sandbox_answers_as_hapi_was_recorded(answered: dict[str, recordings.Recording], name: str):
    assert shape(answered[name]["reply"]) == shape(recordings.load(name)["reply"])


def shape(reply: dict[str, Any]) -> dict[str, Any]:
    """What a client acts upon. Texts, narratives and the server's name for a Bundle of answers are left out."""
    body = reply.get("body", {})
    bundle = body.get("resourceType") == "Bundle"
    places = {name: reply["headers"].get(name) for name in ("ETag", *(() if bundle else ("Location", "Content-Location")))}
    found = {
        "status": reply["status"],
        "type": body.get("resourceType"),
        "issues": sorted({(issue["severity"], issue["code"]) for issue in body.get("issue", []) if issue["severity"] == "error"}),
    }
    if body.get("resourceType") == "CapabilityStatement":
        return found
    if bundle:
        found |= {"kind": body["type"], "total": body.get("total"), "links": sorted(link["relation"] for link in body.get("link", []))}
        found["entries"] = [entry_shape(entry) for entry in body.get("entry", [])]
    elif found["type"] != "OperationOutcome":
        found["body"] = body
    return found | places


def entry_shape(entry: dict[str, Any]) -> dict[str, Any]:
    """Of an answer: its status, place, version and success code. Of what was found: all of it."""
    response = dict(entry.get("response", {}))
    outcome = response.pop("outcome", {}).get("issue", [{}])[0]
    codes = [coding.get("code") for coding in outcome.get("details", {}).get("coding", [])]
    return entry | {"response": response, "codes": codes, "severity": outcome.get("severity")}

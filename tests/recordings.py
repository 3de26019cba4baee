"""Replies of a real HAPI server, kept in fixtures/hapi: recorded, made comparable, replayed.

What differs from run to run is replaced by what never differs: our ids by those of a fixed run, ids HAPI gave by 9001, 9002 …,
its times, request ids and uuids by constants. So `make record` twice writes the same bytes.
"""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import responses
from hapi_calls import calls

from fhir_bridge import documents
from fhir_bridge.hospital.exchange import FHIR_JSON, Call, Reply

FOLDER = Path(__file__).parent.parent / "fixtures" / "hapi"
BASE_URL = "http://hapi.test/fhir"
HEADERS = ("Content-Location", "Content-Type", "ETag", "Last-Modified", "Location", "X-Request-ID")
TYPES = {"AdverseEvent", "Appointment", "Basic", "CarePlan", "Condition", "DocumentReference", "Encounter", "EpisodeOfCare"}
TYPES |= {"MedicationAdministration", "Observation", "Patient", "Procedure", "Provenance", "RelatedPerson", "ServiceRequest", "Task"}
WORDY = {"definition", "documentation", "profile", "searchInclude", "searchRevInclude", "supportedProfile"}  # of a CapabilityStatement
FIXED = uuid.UUID(int=0)
Recording = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")  # HAPI's are random: version 4
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d(:|%3A)\d\d(:|%3A)\d\d\.\d{1,3}(Z|[+-]\d\d:\d\d)")
_HTTP_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_UNSTEADY = {  # HAPI's own words that differ from one call to the next
    re.compile(r"\b\d+ ?ms\b"): "0ms",
    re.compile(r"\.where\(resolve\(\) is \w+\)"): "",
}
_GIVEN_ID = re.compile(r"\b(Basic|Observation|Patient)/(\d{4,})(?![\w-])")  # HAPI counts from 1000


def record(base_url: str, run: uuid.UUID) -> dict[str, Recording]:
    """Hold the conversation of `hapi_calls` with the server at `base_url`; `run` must be a new uuid unless the server is new."""
    found: dict[str, Recording] = {}
    steady = Steady(base_url, run)
    conversation = calls(steady.id_of)
    with requests.Session() as session:
        try:
            name, call = next(conversation)
            while True:
                reply = _send(session, base_url, call)
                found[name] = steady.recording(name, call, reply)
                name, call = conversation.send(reply)
        except StopIteration:
            return found


def names() -> list[str]:
    """Of everything recorded, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Recording:
    """`{request: {method, path, headers?, body?}, reply: {status, headers, body?}}`."""
    return documents.loads((FOLDER / f"{name}.json").read_bytes())


def save(found: dict[str, Recording]) -> None:
    """Write every recording, and remove those that are no longer made."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, recording in found.items():
        (FOLDER / f"{name}.json").write_text(documents.pretty(documents.loads(documents.canonical(recording))) + "\n")


def call_of(name: str) -> Call:
    """The call that was made, to be sent again by a client under test."""
    request = load(name)["request"]
    return Call(request["method"], request["path"], request.get("body"), request.get("headers", {}))


def recorded(name: str, *, base_url: str = BASE_URL) -> responses.Response:
    """The reply as `responses` gives it for the recorded method and address: `responses.add(recorded("read"))`."""
    recording = load(name)
    reply, path = recording["reply"], recording["request"]["path"]
    headers = dict(reply["headers"])
    content_type = headers.pop("Content-Type", "text/plain")
    url = base_url if not path else f"{base_url}{'' if path.startswith('?') else '/'}{path}"
    body = documents.dumps(reply["body"]) if "body" in reply else b""
    return responses.Response(
        recording["request"]["method"], url, body=body, status=reply["status"], headers=headers, content_type=content_type
    )


class Steady:
    """Replaces what differs from run to run, the same thing by the same thing throughout one conversation."""

    def __init__(self, base_url: str, run: uuid.UUID) -> None:
        self._base_url = base_url
        self._run = run
        self._ours: dict[str, str] = {}
        self._theirs: dict[str, str] = {}

    def id_of(self, name: str) -> str:
        """The id of `name` in this run, remembered so that it can be replaced."""
        identity = str(uuid.uuid5(self._run, name))
        self._ours[identity] = str(uuid.uuid5(FIXED, name))
        return identity

    def recording(self, name: str, call: Call, reply: Reply) -> Recording:
        """Request and reply with nothing left of the run."""
        request = {"method": call.method, "path": call.path, "headers": dict(call.headers), "body": call.body}
        body = _shortened(reply.body) if name == "metadata" else reply.body
        answer = {"status": reply.status, "headers": {n: reply.header(n) for n in HEADERS if reply.header(n)}, "body": body}
        for text in _texts(answer):
            for given in _GIVEN_ID.finditer(text):
                self._theirs[given[2]] = self._theirs.get(given[2]) or f"{9001 + len(self._theirs)}"
        return {"request": self._steady(_filled(request)), "reply": self._steady(_filled(answer))}

    def _steady(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._steady(inner) for key, inner in value.items()}
            case list():
                return [self._steady(inner) for inner in value]
            case str():
                return self._text(value)
        return value

    def _text(self, text: str) -> str:
        text = text.replace(self._base_url, BASE_URL)
        for ours, fixed in self._ours.items():
            text = text.replace(ours, fixed)
        text = self._theirs.get(text, text)
        text = _GIVEN_ID.sub(lambda found: f"{found[1]}/{self._theirs.get(found[2], found[2])}", text)
        text = _UUID.sub("00000000-0000-4000-8000-000000000000", text)
        text = _INSTANT.sub(r"2026-01-01T00\g<1>00\g<2>00.000\g<3>", text)
        text = _HTTP_DATE.sub("Thu, 01 Jan 2026 00:00:00 GMT", text)
        for unsteady, steady in _UNSTEADY.items():
            text = unsteady.sub(steady, text)
        return text


def _send(session: requests.Session, base_url: str, call: Call) -> Reply:
    headers = {"Accept": FHIR_JSON, "X-Request-ID": "recorded", "Content-Type": FHIR_JSON} | dict(call.headers)
    url = base_url if not call.path else f"{base_url}{'' if call.path.startswith('?') else '/'}{call.path}"
    body = None if call.body is None else documents.dumps(call.body)
    answer = session.request(call.method, url, data=body, headers=headers, timeout=60, allow_redirects=False)
    found = documents.loads(answer.content, max_bytes=20_000_000) if answer.content else None
    return Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, found)


def _shortened(statement: Any) -> Any:
    """HAPI's CapabilityStatement without its explanations, and of its 146 types those a bridge speaks of."""
    rest = statement["rest"][0]
    return _without(statement | {"rest": [rest | {"resource": [found for found in rest["resource"] if found["type"] in TYPES]}]})


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in WORDY}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _filled(fields: Recording) -> Recording:
    return {key: value for key, value in fields.items() if value not in (None, {}, [])}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)

"""A referral's state as a FHIR message to its sender, and what the sender's answer to it means. Pure.

The ids of the Bundle and its MessageHeader belong to the version of the record: sent again it is the same message, which a receiver
tells by its id (FHIR R4, messaging.html: "duplicate messages"; NHS BaRS answers 409 with the issue `duplicate`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_bridge.errors import Fault
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.graph import substitute
from fhir_bridge.hospital.outcome import read
from fhir_bridge.hospital.parts import Step, Write
from fhir_bridge.hospital.reply import Ambiguous, Dead, Delivered, Outcome, Retry, judge

Resource = dict[str, Any]
#: what a message is about that answers none
EVENT = {"system": "https://fhir-bridge.example/CodeSystem/message-event", "code": "referral-status"}


def bundle(name: str, resources: Sequence[Resource], *, asked: Resource, source: str, to: str, at: datetime) -> Resource:
    """The message about `resources` (by our ids) named `name`, which is the same for the same version of the record.

    `asked` is the MessageHeader of the message it answers, empty for a referral that came otherwise; `source` and `to` are the
    addresses of both sides, `at` when the version was stored.
    """
    known = {f"{one['resourceType']}/{one['id']}": f"urn:uuid:{one['id']}" for one in resources}
    focus = [{"reference": known[key]} for key in known if key.startswith("Task/")]
    header: Resource = {
        "resourceType": "MessageHeader",
        "id": str(uuid5(NAMESPACE_URL, f"{name}/header")),
        **({each: asked[each] for each in ("eventCoding", "eventUri") if each in asked} if asked else {"eventCoding": EVENT}),
        "destination": [{"endpoint": asked.get("source", {}).get("endpoint", to)}],
        "source": {"endpoint": source},
        **({"response": {"identifier": asked["id"], "code": "ok"}} if asked.get("id") else {}),
        "focus": focus,
    }
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": substitute(one, known)} for one in (header, *resources)]
    id = str(uuid5(NAMESPACE_URL, name))
    return {
        "resourceType": "Bundle",
        "id": id,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{id}"},
        "type": "message",
        "timestamp": at.isoformat(),
        "entry": entries,
    }


def headers(message: Resource, correlation: str | None) -> Mapping[str, str]:
    """The ids by which a repetition is known (BaRS): the message's own, and the conversation's."""
    return {"X-Request-ID": message["id"], "X-Correlation-ID": correlation or message["id"]}


def step(message: Resource) -> Step:
    """The message as a step of one write that may be repeated as it is."""
    return Step("single", (Write(f"Bundle/{message['id']}", "put", message, "one message for each state of the referral"),), "a message")


def understood(message: Resource, reply: Reply | NoReply, *, now: datetime | None = None) -> Outcome:
    """What the answer means. Delivered only when the receiver says so: a response message that names ours, an OperationOutcome
    without an error, or that it has it already. Anything else that looks like success is a failure of the line: it is sent again.
    """
    if isinstance(reply, NoReply):
        return Retry(reply.cause, counts=False, breaker=True) if not reply.sent else Ambiguous(reply.cause, breaker=True)
    said = read(reply.body) if reply.resource_type == "OperationOutcome" else None
    if reply.status == 409 and said and "duplicate" in said.types:
        return Delivered((), reply.status)
    if not 200 <= reply.status < 300:
        return judge(step(message), reply, now=now)
    if said is not None:
        return Dead("refused", tuple(said.faults), reply.status) if said.faults else Delivered((), reply.status)
    return _answered(message, reply)


def _answered(message: Resource, reply: Reply) -> Outcome:
    code, details = _response(message, reply)
    if code == "ok":
        return Delivered((), reply.status)
    if code == "transient-error":
        return Retry("the sender's system could not take the message now", status=reply.status)
    if code == "fatal-error":
        return Dead("refused", details or (Fault("", "the sender's system refused the message and gave no reason"),), reply.status)
    return Ambiguous("a success that does not say that the message was taken", reply.status)


def _response(message: Resource, reply: Reply) -> tuple[str, tuple[Fault, ...]]:
    """The code of a response message to ours, and what its OperationOutcome says; empty for anything else."""
    entries = reply.body.get("entry", []) if reply.resource_type == "Bundle" else []
    inside = [one["resource"] for one in entries if isinstance(one, dict) and isinstance(one.get("resource"), dict)]
    response = inside[0].get("response", {}) if inside and inside[0].get("resourceType") == "MessageHeader" else {}
    if not isinstance(response, dict) or response.get("identifier") != message["entry"][0]["resource"]["id"]:
        return "", ()
    told = [fault for one in inside if one.get("resourceType") == "OperationOutcome" for fault in read(one).faults]
    return str(response.get("code", "")), tuple(told)

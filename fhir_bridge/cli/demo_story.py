"""One record of the demonstration as it went: what was posted, what the hospital holds, what it kept, and whether it came back equal."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.client import Call, Client, Reply
from fhir_bridge.sync import convert
from fhir_bridge.sync.bridge import Site

KINDS = ("session", "appointment")
WAYS = ("folded", "work", "waiting", "unsent")  # how a resource goes another way than as itself
AT_ONCE = 50  # resources asked for in one search


@dataclass(frozen=True, slots=True)
class Story:
    """`sent` are the resources as the bridge tells them (`theirs`, `version`, `kept`); `held` the hospital's documents themselves.

    `ways` counts, by the words of `WAYS`, what did not become a resource of its own.
    """

    case: str
    file: str
    record: str
    version: int
    patient: str
    status: str
    state: str
    sent: tuple[dict[str, Any], ...] = ()
    ways: dict[str, int] = field(default_factory=dict)
    posted: dict[str, Any] = field(default_factory=dict, repr=False)
    held: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    equal: bool = False

    def compared(self, site: Site) -> "Story":
        """With `equal` told: the clinic record read from the hospital's documents is the one that was posted, to the last digit.

        As it is where the hospital does not hold everything.
        """
        if not self.whole:
            return self
        kind = records.kind_of(self.posted)
        expected = records.load(kind, self.posted, zone=site.zone)
        back = convert.map_back(site.mapping, list(self.held)).record
        return replace(self, equal=documents.canonical(back) == documents.canonical(expected))

    def paths(self, verdict: str) -> list[str]:
        """What the hospital `changed` or `dropped`, each path once."""
        return sorted({path for one in self.sent if one["kept"] for path in one["kept"].get(verdict, ())})

    @property
    def stands(self) -> str:
        """Its status, and its follow-up's."""
        follow_up = self.posted.get("follow_up") or {}
        return f"{self.status}, follow-up {follow_up['status']}" if follow_up and self.status != follow_up["status"] else self.status

    @property
    def whole(self) -> bool:
        """Whether the hospital holds everything of the record as data, so that it can come back equal."""
        return bool(self.held)

    @property
    def arrived(self) -> bool:
        """Whether the record reached its end: delivered, and equal where the hospital holds all of it."""
        return self.state == "delivered" and (self.equal or not self.whole)

    @property
    def kept(self) -> int:
        """How many of the resources the hospital kept as they were sent."""
        return sum(bool(one["kept"] and one["kept"].get("whole")) for one in self.sent)

    def data(self) -> dict[str, Any]:
        """All of it as JSON, without the documents."""
        return {
            "case": f"{self.case}/{self.file}",
            "record": self.record,
            "version": self.version,
            "state": self.state,
            "whole": self.whole,
            "equal": self.equal,
            **self.ways,
            "kept": self.kept,
            "resources": [{"is": one["theirs"], "version": one["version"], "kept": one["kept"]} for one in self.sent],
        }


def told(file: Path, shown: dict[str, Any], hospital: Client) -> Story:
    """The story of `file`, as `shown` by the bridge once the record is delivered."""
    return stands(file.parent.name, file.stem, documents.loads(file.read_bytes()), shown, hospital=hospital)


def stands(case: str, file: str, posted: dict[str, Any], shown: dict[str, Any], *, hospital: Client) -> Story:
    """How a record stands: `posted` is what the clinic says, `shown` what the bridge tells of its delivery."""
    (delivery,) = shown["deliveries"]
    sent = tuple(one for one in delivery["resources"] if one["theirs"])
    ways = {way: len(delivery[way]) for way in WAYS if way in delivery}
    return Story(
        case=case,
        file=file,
        record=shown["id"],
        version=shown["version"],
        patient=posted["patient"]["id"],
        status=_status(posted),
        state=delivery["state"],
        sent=sent,
        ways=ways,
        posted=posted,
        held=() if ways or any(map(_lost, sent)) else tuple(_held(hospital, [one["theirs"] for one in sent])),
    )


def _status(record: dict[str, Any]) -> str:
    status: str = (record if "status" in record else record.get("referral") or record["follow_up"])["status"]
    return status


def _lost(one: dict[str, Any]) -> bool:
    """Whether part of a resource was not sent, not kept, or is not shown."""
    kept = one["kept"] or {}
    return bool(kept.get("dropped") or kept.get("left_out") or not kept.get("visible", True))


def _held(hospital: Client, references: Sequence[str]) -> list[dict[str, Any]]:
    """The documents the hospital shows for `references`, in this order."""
    by_type = defaultdict(list)
    for reference in references:
        by_type[reference.partition("/")[0]].append(reference.partition("/")[2])
    parts = [(kind, ids[start : start + AT_ONCE]) for kind, ids in by_type.items() for start in range(0, len(ids), AT_ONCE)]
    found = {f"{kind}/{one['id']}": one for kind, ids in parts for one in _searched(hospital, kind, ids)}
    return [found.get(reference) or _read(hospital, reference) for reference in references]


def _searched(hospital: Client, kind: str, ids: list[str]) -> list[dict[str, Any]]:
    call = Call("GET", f"{kind}?_id={','.join(ids)}&_count={AT_ONCE}", headers={"Cache-Control": "no-cache"})
    reply = hospital.send(call)
    entries = reply.body.get("entry", []) if isinstance(reply, Reply) and reply.resource_type == "Bundle" else []
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == kind]


def _read(hospital: Client, reference: str) -> dict[str, Any]:
    reply = hospital.send(Call("GET", reference))
    if isinstance(reply, Reply) and reply.status == 200:
        found: dict[str, Any] = reply.body
        return found
    raise BridgeError(f"the hospital does not give {reference} back")

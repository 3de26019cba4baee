"""A referral's story from both sides: pushed, decided, treated; the follow-up moved and missed at the hospital; the loop closed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fhir_bridge import documents
from fhir_bridge.cli.demo_service import Service
from fhir_bridge.cli.demo_story import Story, stands
from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.client import Call, Client, Reply

ORDER = "ORD-SYN-90001"  # the order number in the fixtures; each shape gets its own
SESSION, FOLLOW_UP = "S-RBI-7", "A-RBI-7"
SHAPES = {"transaction": "/fhir", "service-request": "/fhir/ServiceRequest", "message": "/fhir/$process-message", "task": "/fhir/Task"}
NO_CHAIR = "No chair is free within the time asked for."
PAGE = 100
LATER = {"start": "2026-05-15T14:00:00-04:00", "end": "2026-05-15T14:30:00-04:00"}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story: who did what, and what came of it."""

    who: str
    did: str
    came: str


@dataclass(frozen=True, slots=True)
class Loop:
    """The actors: the running service, the hospital's own server, and the folder of the case."""

    CASE: ClassVar[str] = "referred-biologic"

    service: Service
    hospital: Client
    case: Path

    def steps(self) -> Iterator[Step]:
        """Plays the story, a step at a time."""
        referrals = {}
        for number, shape in enumerate(SHAPES, start=2):
            referrals[shape] = self._push(shape, order=f"{ORDER[:-1]}{number}")
            yield Step("hospital", f"POST {SHAPES[shape]}: a referral, as a {shape}", f"stored as {referrals[shape]}")
        treated = referrals["transaction"]
        yield self._decide(referrals["task"], "decline", {"reason": NO_CHAIR})
        yield self._decide(referrals["message"], "accept")
        yield self._decide(treated, "accept")
        yield self._decide(treated, "schedule", {"sessions": [SESSION]})
        yield self._treat(treated)
        yield from self._at_the_hospital()
        yield self._decide(treated, "complete", {"sessions": [SESSION]})

    def ends(self) -> Iterator[Story]:
        """Each record of the story as it stands at last: what the clinic says of it, and what the hospital holds."""
        found = [one for one in self._referrals() if ORDER[:-1] in one["record"]["referral"]["placer"]["value"]]
        for url in (*(f"/api/v1/referrals/{one['id']}" for one in found), f"/api/v1/sessions/{SESSION}"):
            shown = self.service.delivered(url)
            yield stands(self.case.name, url.split("/")[3], shown["record"], shown, hospital=self.hospital)

    def _push(self, shape: str, *, order: str) -> str:
        body = (self.case / "inbound" / f"{shape}.json").read_text(encoding="utf-8").replace(ORDER, order)
        self.service.push(SHAPES[shape], body.encode())
        (fresh,) = (one["id"] for one in self._referrals() if one["record"]["referral"]["placer"]["value"] == order)
        return str(fresh)

    def _referrals(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.service.ask("GET", "/api/v1/referrals")["referrals"]
        return found

    def _decide(self, referral: str, verb: str, words: Mapping[str, Any] | None = None) -> Step:
        answer = self.service.ask("POST", f"/api/v1/referrals/{referral}/{verb}", words or {})
        self.service.delivered(answer["url"])
        return Step("clinic", f"{verb}s {referral}", f"version {answer['version']}, told to the hospital")

    def _treat(self, referral: str) -> Step:
        session = documents.loads((self.case / "session-1.json").read_bytes())
        session |= {"id": SESSION, "referral": {"id": referral}, "follow_up": {**session["follow_up"], "id": FOLLOW_UP}}
        shown = self.service.delivered(self.service.ask("POST", "/api/v1/sessions", session)["url"])
        sent = len(shown["deliveries"][0]["resources"])
        return Step("clinic", f"posts session {SESSION}, which answers {referral}", f"{sent} resources at the hospital")

    def _at_the_hospital(self) -> Iterator[Step]:
        """What the hospital does to the follow-up in its own system; the bridge learns of it by pulling, and the clinic from its feed."""
        for did, change in (("moves the follow-up to the next day", LATER), ("marks the follow-up missed", {"status": "noshow"})):
            if not self._change(change):
                yield Step("hospital", did, "not possible over FHIR at this hospital")
                return
            yield Step("hospital", did, "")
            seen = self._changes(0)["next"]
            counts = self.service.run("sync", "--pull")["runs"][0]["counts"]
            yield Step("bridge", "fhir-bridge sync --pull", f"{counts.get('applied', 0)} change applied to the clinic's record")
            for told in self._changes(seen)["changes"]:
                if str(told["by"]).startswith("hospital:"):
                    yield Step("clinic", f"GET /api/v1/changes?after={seen}", f"{told['what']}: {told['id']} v{told['version']}")

    def _changes(self, after: int) -> dict[str, Any]:
        """The feed's last page after a cursor."""
        page = self.service.ask("GET", f"/api/v1/changes?after={after}&limit={PAGE}")
        return page if len(page["changes"]) < PAGE else self._changes(page["next"])

    def _change(self, change: Mapping[str, Any]) -> bool:
        reference = self._appointment()
        if reference is None:
            return False
        held = self._read(reference)
        etag = {"If-Match": f'W/"{held["meta"]["versionId"]}"'}
        reply = self.hospital.send(Call("PUT", reference, {**held, **change}, etag))
        return isinstance(reply, Reply) and reply.status == 200

    def _appointment(self) -> str | None:
        (delivery,) = self.service.ask("GET", f"/api/v1/sessions/{SESSION}")["deliveries"]
        found = [one["theirs"] for one in delivery["resources"] if (one["theirs"] or "").startswith("Appointment/")]
        return found[0] if found else None

    def _read(self, reference: str) -> dict[str, Any]:
        reply = self.hospital.send(Call("GET", reference))
        if isinstance(reply, Reply) and reply.status == 200:
            return dict(reply.body)
        raise BridgeError(f"the hospital does not give {reference} back")

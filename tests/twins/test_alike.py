"""Resources of several records that are alike in all a hospital can be searched by: each record has its own, and none stops another."""

import json
from collections.abc import Callable

from twins_rig import CLINIC, FIXTURES, Rig, sessions

from fhir_bridge.sync import accept, status


def test_a_referral_for_what_two_sessions_were_for_has_its_own_condition(rig: Callable[..., Rig]) -> None:
    here = rig("oracle")
    _, session = sessions("referred-biologic")[0]
    told = [
        here.deliver(session | {"id": f"S-RBI-{number}", "follow_up": session["follow_up"] | {"id": f"A-RBI-{number}"}})
        for number in (11, 12)
    ]
    referral = json.loads((FIXTURES / "cases" / "referred-biologic" / "referral.json").read_text())
    accept.accept(here.bridge, client=CLINIC, kind="referral", document=referral, body_sha256="")
    here.work()
    shown = status.of_record(here.bridge, tenant="default", kind="referral", id=referral["referral"]["id"])
    assert shown is not None
    told += shown["deliveries"]
    assert [one["state"] for one in told] == ["delivered"] * 3
    theirs = [one["theirs"] for delivery in told for one in delivery["resources"] if one["ours"].startswith("Condition/")]
    assert len(theirs) == len(set(theirs)) == len(here.documents("Condition")) > 2

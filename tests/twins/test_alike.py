"""Resources of several sessions that are alike in all a hospital can be searched by: each session has its own, and none stops another."""

from collections.abc import Callable

import pytest
from twins_rig import Rig, sessions


@pytest.mark.parametrize("name", ["oracle", "epic"])
def test_sessions_for_one_indication_each_have_their_own_condition(rig: Callable[..., Rig], name: str) -> None:
    here = rig(name)
    _, session = sessions("referred-biologic")[0]
    told = [
        here.deliver(session | {"id": f"S-RBI-{number}", "follow_up": session["follow_up"] | {"id": f"A-RBI-{number}"}})
        for number in (11, 12, 13)
    ]
    assert [one["state"] for one in told] == ["delivered"] * 3
    theirs = [one["theirs"] for delivery in told for one in delivery["resources"] if one["ours"].startswith("Condition/")]
    assert len(theirs) == len(set(theirs)) == len(here.documents("Condition"))
    assert theirs or name == "epic"

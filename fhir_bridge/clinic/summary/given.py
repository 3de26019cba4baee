"""What was given, in words and in the order of time: one line for each drug and each bag, its steps in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_bridge.clinic.summary.wording import RESPONSES, ROUTES, Clock, Names, amount, quantity, sentence, words

Record = Mapping[str, Any]
_STATES = {
    "stopped": "STOPPED",
    "in-progress": "still running",
    "on-hold": "ON HOLD",
    "not-given": "NOT GIVEN",
    "entered-in-error": "ENTERED IN ERROR, disregard",
}


def called(record: Record, names: Names) -> dict[str, str]:
    """What each drug and bag of the record is called, by its id."""
    drugs = {one["id"]: sentence(names("drugs", one["drug"])) for one in record.get("drugs", ())}
    return drugs | {one["id"]: sentence(names("fluids", one["fluid"])).replace(" %", "%") for one in record.get("fluids", ())}


def in_time(record: Record) -> list[Record]:
    """Drugs and bags by the time they began; each with `steps`, a bag with its one."""
    found = [*record.get("drugs", ()), *({**one, "steps": [one]} for one in record.get("fluids", ()))]
    return sorted(found, key=lambda one: (Clock(None, None).moment(one["steps"][0]["started_at"]), one["id"]))


def state(one: Record) -> str:
    """How it went, when it did not simply go through: "STOPPED (adverse reaction)"."""
    reason = f" ({words(one['reason'])})" if "reason" in one else ""
    return f"{_STATES[one['state']]}{reason}" if one.get("state") in _STATES else ""


def lines(record: Record, clock: Clock, names: Names) -> Iterator[str]:
    """ "10:00-10:18  Eptinezumab-jjmr 60 mg at 200 mL/h, IV, left forearm, STOPPED (adverse reaction)"."""
    name, reactions = called(record, names), {one["id"]: words(one["reaction"]) for one in record.get("reactions", ())}
    for one in in_time(record):
        parts = (
            f"{name[one['id']]} {_steps(one['steps'], clock)}",
            _additives(one, names),
            ROUTES.get(one["route"], words(one["route"])),
            words(one.get("site", "")),
            state(one),
            f"for {reactions[one['for_reaction']]}" if one.get("for_reaction") in reactions else "",
            RESPONSES.get(one.get("response", ""), ""),
        )
        yield f"{_span(one, clock)}  {', '.join(part for part in parts if part)}"


def _span(one: Record, clock: Clock) -> str:
    first, last = one["steps"][0], one["steps"][-1]
    if "ended_at" not in last and one.get("state") != "in-progress":
        return clock.time(first["started_at"])  # a push: its end was not written down
    return clock.span({"started_at": first["started_at"]} | ({"ended_at": last["ended_at"]} if "ended_at" in last else {}))


def _steps(steps: list[Record], clock: Clock) -> str:
    first, *rest = steps
    said = [amount(first)]
    for before, step in zip(steps, rest, strict=False):
        since = (
            f"from {clock.time(step['started_at'])}"
            if before.get("ended_at") == step["started_at"]
            else f"at {clock.time(step['started_at'])}"
        )
        said.append(f"then {amount(step)} {since}")
    return ", ".join(said)


def _additives(one: Record, names: Names) -> str:
    added = [f"{names('drugs', part['drug'])} {quantity(part['amount'])}" for part in one.get("additives", ())]
    return f"with {', '.join(added)}" if added else ""

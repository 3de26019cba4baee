"""A plan said for an interface engineer, and the same as data. Types, codes and our keys only: no value of a patient."""

from collections.abc import Iterable
from typing import Any

from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.parts import Plan, Step, Write

_VERBS = {
    "put": "PUT {type}/<our id>",
    "create-if-none": "POST {type} with If-None-Exist",
    "put-if-one": "PUT {type}?identifier=<ours>",
    "look-then-create": "search, then POST {type} when nothing is found",
    "match": "search {type}, adopt the one that is there",
    "update": "PUT {type}/<their id> with If-Match",
    "patch": "PATCH {type}/<their id> with If-Match",
    "delete": "DELETE {type}/<their id>",
}
_LETTERS = {
    "put": "cru",
    "create-if-none": "crs",
    "put-if-one": "crus",
    "look-then-create": "crs",
    "match": "rs",
    "update": "ru",
    "patch": "ru",
}


def title(resource: dict[str, Any]) -> str:
    """What the resource is, by type and code: `Observation 8867-4`."""
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    first = codings[0].get("code") if isinstance(codings, list) and codings and isinstance(codings[0], dict) else None
    return f"{resource['resourceType']} {first}" if first else str(resource["resourceType"])


def lines(plan: Plan) -> list[str]:
    """For an interface engineer, one line an item: what must be set up, what goes in which order, and what does not go and why."""
    said = [f"Plan for {plan.hospital}: {len(plan.steps)} call(s)."]
    said += _block("The hospital must set up first:", [f"- {each}" for each in plan.setup])
    number = 1
    for alike in _alike(plan.steps):
        last = number + len(alike) - 1
        said += _step(number, alike[0], plan) if last == number else _singles(f"{number}-{last}", alike, plan)
        number = last + 1
    if plan.folded:
        into = f"Folded into the summary ({plan.folded[0].into.split('/')[0]}), because the server does not take it as data:"
        said += _block(into, _grouped(((each.key, each.reason) for each in plan.folded), plan))
    said += _block("Left for a person at the hospital:", _grouped(((each.key, each.reason) for each in plan.work), plan))
    said += _block("Waits, and is sent later without anybody's doing:", _grouped(((each.key, each.reason) for each in plan.waiting), plan))
    said += _block("Needs nothing:", _grouped(((each.key, each.reason) for each in plan.unchanged), plan))
    return said


def data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-ready data: steps with verbs, keys and reasons; the rest by kind."""
    return {
        "hospital": plan.hospital,
        "setup": list(plan.setup),
        "steps": [
            {"rung": step.rung, "reason": step.reason, "writes": [_write(write, plan) for write in step.writes]} for step in plan.steps
        ],
        "folded": [{"key": each.key, "into": each.into, "reason": each.reason} for each in plan.folded],
        "work": [{"key": each.key, "reason": each.reason} for each in plan.work],
        "waiting": [{"key": each.key, "reason": each.reason} for each in plan.waiting],
        "unchanged": [{"key": each.key, "reason": each.reason} for each in plan.unchanged],
    }


def scopes(steps: Iterable[Step], capabilities: Capabilities) -> tuple[str, ...]:
    """The SMART scopes the steps need, as one line of set-up; none where the server speaks no OAuth."""
    if not capabilities.security & {"OAuth", "SMART-on-FHIR"}:
        return ()
    letters: dict[str, set[str]] = {}
    for step in steps:
        for write in step.writes:
            letters.setdefault(_type(write), set()).update(_LETTERS.get(write.verb, "rd"))
    needed = [f"system/{name}.{''.join(each for each in 'cruds' if each in found)}" for name, found in sorted(letters.items())]
    return (f"scopes for our client: {' '.join(needed)}",) if needed else ()


def _step(number: int, step: Step, plan: Plan) -> list[str]:
    if step.rung == "single":
        write = step.writes[0]
        return [f"{number}. {_verb(write)}: {plan.titles.get(write.key, _type(write))} ({write.reason}).", *_notes(step)]
    head = f"{number}. One {step.rung} Bundle of {len(step.writes)} entries ({step.reason}):"
    kinds: dict[tuple[str, str], int] = {}
    for write in step.writes:
        kinds[(_verb(write), write.reason)] = kinds.get((_verb(write), write.reason), 0) + 1
    return [head, *(f"   - {count} × {verb} ({reason})." for (verb, reason), count in kinds.items()), *_notes(step)]


def _alike(steps: Iterable[Step]) -> list[list[Step]]:
    """Single calls of one kind that follow each other, together; any other step alone."""
    groups: list[list[Step]] = []
    for step in steps:
        if groups and step.rung == groups[-1][0].rung == "single" and _sort(step) == _sort(groups[-1][0]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _sort(step: Step) -> tuple[str, str]:
    return _verb(step.writes[0]), step.writes[0].reason


def _singles(numbers: str, steps: list[Step], plan: Plan) -> list[str]:
    first = steps[0].writes[0]
    kinds: dict[str, int] = {}
    for step in steps:
        name = plan.titles.get(step.keys[0], _type(step.writes[0]))
        kinds[name] = kinds.get(name, 0) + 1
    head = f"{numbers}. {_verb(first)}, {len(steps)} calls ({first.reason}):"
    return [head, *(f"   - {count} × {name}" for name, count in kinds.items()), *_notes(*steps)]


def _notes(*steps: Step) -> list[str]:
    writes = [write for step in steps for write in step.writes]
    notes = dict.fromkeys(f"{_type(write)}: {note}" for write in writes for note in write.notes)
    left = dict.fromkeys(f"left out: {path}, what it refers to is not there" for write in writes for path in write.left_out)
    return [f"   - {note}." for note in (*notes, *left)]


def _grouped(items: Iterable[tuple[str, str]], plan: Plan) -> list[str]:
    """`- 3 × Observation 8867-4: reason`, in the order of the first of each."""
    counted: dict[tuple[str, str], int] = {}
    for key, reason in items:
        named = (plan.titles.get(key, key.split("/")[0]), reason)
        counted[named] = counted.get(named, 0) + 1
    return [f"- {count} × {name}: {reason}." for (name, reason), count in counted.items()]


def _block(head: str, items: list[str]) -> list[str]:
    return [head, *items] if items else []


def _write(write: Write, plan: Plan) -> dict[str, Any]:
    said: dict[str, Any] = {"key": write.key, "what": plan.titles.get(write.key, _type(write)), "verb": write.verb, "by": _verb(write)}
    said["reason"] = write.reason
    said |= {name: list(getattr(write, name)) for name in ("needs", "notes", "left_out") if getattr(write, name)}
    return said


def _verb(write: Write) -> str:
    return _VERBS[write.verb].format(type=_type(write))


def _type(write: Write) -> str:
    return write.key.split("/")[0]

"""What a hospital's system does to our resources without changing what they say: notes, extensions, other spellings, its own ids."""

import random
import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

from fhir_bridge import documents

Resource = dict[str, Any]
THEIRS = "https://ehr.hospital.example"
EXTENSION = {"url": f"{THEIRS}/flag", "valueString": "seen"}
NOTED = {"Observation", "Procedure", "Condition", "AllergyIntolerance", "MedicationAdministration", "CarePlan", "Communication"}
TIMES = {"effectiveDateTime", "start", "end", "onsetDateTime", "recordedDate", "date", "detected", "sent", "created"}


def extended(one: Resource) -> None:
    one["extension"] = [*one.get("extension", []), deepcopy(EXTENSION)]


def told(one: Resource) -> None:
    one["text"] = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">As shown to people</div>'}
    one["meta"] = {"versionId": "7", "lastUpdated": "2026-03-03T08:00:00Z", "tag": [{"system": THEIRS, "code": "reviewed"}]}


def noted(one: Resource) -> None:
    if one["resourceType"] in NOTED:
        one["note"] = [*one.get("note", []), {"text": "Seen on rounds"}]


def numbered(one: Resource) -> None:
    """Their own identifier, before ours."""
    if isinstance(one.get("identifier"), list):
        one["identifier"].insert(0, {"use": "official", "system": f"{THEIRS}/accession", "value": "X-1"})


def coded(one: Resource) -> None:
    """A local code in front of ours, and another behind."""
    code = one.get("code")
    if isinstance(code, dict) and isinstance(code.get("coding"), list):
        code["coding"].insert(0, {"system": f"{THEIRS}/codes", "code": "LOC-1", "display": "Local"})
        code["coding"].append({"system": f"{THEIRS}/old-codes", "code": "OLD", "userSelected": False})


def reachable(one: Resource) -> None:
    """More ways to reach the patient than the clinic knows."""
    if one["resourceType"] == "Patient":
        one["telecom"] = [{"system": "fax", "value": "555-0100"}, *one.get("telecom", []), {"system": "phone", "value": "555-0111"}]


def qualified(one: Resource) -> None:
    """Extensions beside primitives."""
    for name in ("status", "birthDate", "gender", "effectiveDateTime", "recorded"):
        if name in one:
            one[f"_{name}"] = {"extension": [deepcopy(EXTENSION)]}


def linked(one: Resource) -> None:
    """References said more fully."""
    for name in ("subject", "encounter", "patient", "context"):
        if isinstance(one.get(name), dict):
            one[name] |= {"display": "As the hospital names it", "type": "Patient" if name in ("subject", "patient") else "Encounter"}


def spelt(value: Any) -> None:
    """Other spellings of times and numbers, wherever they stand."""
    for key, inner in list(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(inner, Decimal):
            value[key] = Decimal(f"{inner:f}0" if "." in f"{inner:f}" else f"{inner:f}.0")
        elif key in TIMES and isinstance(inner, str) and re.search(r"T\d\d:\d\d:\d\d(Z|[+-])", inner):
            value[key] = inner.replace("Z", "+00:00") if inner.endswith("Z") else re.sub(r"(:\d\d)([+-]\d\d:\d\d)$", r"\1.000\2", inner)
        else:
            spelt(inner)


HANDS: list[Callable[[Resource], None]] = [extended, told, noted, numbered, coded, reachable, qualified, linked, spelt]


def renamed(found: list[Resource]) -> list[Resource]:
    """Ids of the hospital's own choosing, in the resources and in the references to them."""
    text = documents.dumps(found).decode()
    for number, one in enumerate(found):
        text = text.replace(one["id"], f"h{number:04}")
    return list(documents.loads(text.encode(), max_depth=64))


def decorated(found: list[Resource], rng: random.Random, *, ids: bool = True) -> list[Resource]:
    """The resources after a hospital's system has had its hands on them, in another order, and perhaps under `ids` of its own."""
    after = deepcopy(found)
    for one in after:
        for hand in rng.sample(HANDS, rng.randint(1, len(HANDS))):
            hand(one)
    rng.shuffle(after)
    return renamed(after) if ids and rng.random() < 0.5 else after

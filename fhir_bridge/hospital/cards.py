"""A stopped delivery told to a person: what happened, who must act, whether a retry is safe, and the server's own words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fhir_bridge.errors import Fault

Who = Literal["clinic", "hospital", "admin"]


@dataclass(frozen=True, slots=True)
class Card:
    """`who` must act. `retry_safe`: a replay cannot make a second record. `server_said` may repeat what was sent: show, never log."""

    title: str
    happened: str
    who: Who
    do: str
    retry_safe: bool
    server_said: tuple[str, ...] = ()


CARDS: Mapping[str, Card] = {
    "refused": Card(
        "The hospital refused the content",
        "The hospital's server read what we sent and said that it is not acceptable. Nothing was stored.",
        "clinic",
        "Read the server's words, correct the record and send it again; a corrected version replaces this one.",
        True,
    ),
    "too-large": Card(
        "Too large for the hospital",
        "The hospital's server takes smaller requests than this one.",
        "admin",
        "Lower entries_per_call or bytes_per_call in the site file, then replay.",
        True,
    ),
    "target-gone": Card(
        "The hospital no longer has it",
        "What we wanted to change, or what it refers to, was deleted at the hospital or never was there.",
        "hospital",
        "Ask whether it was deleted or merged; then reconcile, and replay or discard.",
        True,
    ),
    "redirected": Card(
        "The address moved",
        "The hospital's server sent us to another address. We never follow with patient data.",
        "admin",
        "Ask the hospital for its right base address and correct the settings; then replay.",
        True,
    ),
    "duplicates-at-hospital": Card(
        "The hospital holds it more than once",
        "Several resources there carry our identifier, so it is not clear which one to change.",
        "hospital",
        "Have the hospital remove or merge the extra ones; then replay.",
        True,
    ),
    "duplicates": Card(
        "More than one match at the hospital",
        "An earlier attempt was left without an answer, and the search finds several resources that could be it.",
        "hospital",
        "Compare them, name the right one or have the others removed; then replay.",
        False,
    ),
    "unsearchable": Card(
        "It may be there, and we cannot look",
        "An earlier attempt was left without an answer, and this server offers no search that would find it.",
        "hospital",
        "Look in the chart. If it is there, discard this one; if not, replay.",
        False,
    ),
    "flowsheet-missing": Card(
        "A flowsheet row is missing",
        "Epic stores vital signs in flowsheet rows, and none, or more than one, belongs to this code (59188).",
        "hospital",
        "Have the hospital build one flowsheet row for the code; then replay.",
        True,
    ),
    "patient-merged": Card(
        "The patient was merged",
        "The hospital joined this patient's chart with another one (4107).",
        "hospital",
        "Confirm the surviving patient and point our link to them; then replay.",
        True,
    ),
    "break-the-glass": Card(
        "The chart is protected",
        "The hospital guards this patient's chart (break-the-glass), and an interface may not open it.",
        "hospital",
        "Ask the hospital to let our client in for this patient, or to enter the session by hand.",
        True,
    ),
    "search-capped": Card(
        "Too many matches to search",
        "The hospital cuts searches off, so we cannot tell whether the record is there already.",
        "hospital",
        "Look in the chart. If it is there, discard this one; if not, replay.",
        False,
    ),
    "patient-unknown": Card(
        "The hospital does not know the patient",
        "No patient there carries the number we have, and the hospital does not let us create one.",
        "clinic",
        "Correct the patient's hospital number, or have the patient registered there; then replay.",
        True,
    ),
    "data-error": Card(
        "The hospital fails on this one again and again",
        "The server answered several times with the same failure: something in this record breaks it.",
        "hospital",
        "Give the hospital the server's words and the request ids; replay when it is mended.",
        False,
    ),
    "given-up": Card(
        "Tried for seven days",
        "Every attempt was answered with a failure that might have passed.",
        "admin",
        "See whether the hospital is well again; then replay.",
        True,
    ),
    "quarantined": Card(
        "Our worker ended three times over this one",
        "The program stopped while sending it, three times. It is kept apart so that the others go on.",
        "admin",
        "Report the record's number to the people who maintain the bridge; then replay it alone.",
        True,
    ),
}
_GENERAL = Card(
    "Stopped",
    "The delivery cannot go on by itself.",
    "admin",
    "Read the server's words; then replay or discard with a reason.",
    False,
)


def card(kind: str, faults: tuple[Fault, ...] = (), *, status: int = 0) -> Card:
    """The card of a `Dead` outcome (`Dead.kind`, `Dead.faults`, `Dead.status`); an unknown kind gives the general card."""
    words = tuple(str(fault) for fault in faults)
    return replace(CARDS.get(kind, _GENERAL), server_said=(f"status {status}", *words) if status else words)

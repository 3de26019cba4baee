"""The code tables: dicts from the clinic's word to what is written for it. They are data, read from `mappings/codes` by engine and twin."""

from pathlib import Path
from typing import Any

import yaml

CODES = Path(__file__).parents[3] / "mappings" / "codes"


def _coding(row: dict[str, str], system: str) -> dict[str, str]:
    shown = {"display": row["display"]} if "display" in row else {}
    return {"system": row.get("system", system), "code": row["code"]} | shown


def _file(name: str) -> dict[str, Any]:
    return yaml.load((CODES / f"{name}.yaml").read_text(), yaml.BaseLoader)  # noqa: S506 - every scalar as text, no objects


def plain(name: str) -> dict[str, str]:
    return {word: code for word, code in _file(name)["codes"].items() if code not in ("", "~")}


def codings(name: str) -> dict[str, dict[str, str]]:
    table = _file(name)
    return {word: _coding(row, table["system"]) for word, row in table["codes"].items()}


def concepts(name: str) -> dict[str, dict[str, Any]]:
    """A CodeableConcept for each word: its verified codes, our own word where the table has a system for it, and the first display."""
    table, found = _file(name), {}
    for word, row in table["codes"].items():
        if isinstance(row, str):  # a word that stands for no code
            continue
        written = [
            _coding(one, table["system"]) for one in [*row.get("codes", []), row] if "code" in one and one.get("verified") != "false"
        ]
        own = [{"system": table["local"], "code": word}] if "local" in table else []
        shown = next((one["display"] for one in written if "display" in one), row.get("display"))
        found[word] = {"coding": written + own, "text": shown}
    return found


ABSENCE = concepts("absence")
ADMINISTRATION_STATUS = plain("administration-status")
ALLERGY_CLINICAL = concepts("allergy-clinical")
ALLERGY_CERTAINTY = concepts("allergy-certainty")
APPOINTMENT_STATUS = plain("appointment-status")
CANCELLATION_REASONS = concepts("cancellation-reasons")
CARE_PLAN_STATUS = plain("care-plan-status")
COMMUNICATION_STATUS = plain("communication-status")
CONDITIONS = concepts("conditions")
DRUGS = concepts("drugs")
ENCOUNTER_CLASS = codings("encounter-class")
ENCOUNTER_STATUS = plain("encounter-status")
DOCUMENT_STATE = plain("document-state")
DOCUMENT_STATUS = plain("document-status")
EPISODE_STATUS = plain("episode-status")
FLUIDS = concepts("fluids")
GENDER = plain("gender")
OBSERVATION_STATUS = plain("observation-status")
PARTICIPATION_STATUS = plain("participation-status")
PLANNED_STATUS = plain("planned-status")
PROCEDURE_STATUS = plain("procedure-status")
REACTION_OUTCOME = concepts("reaction-outcome")
REACTION_SEVERITY = concepts("reaction-severity")
REACTIONS = concepts("reactions")
REASONS = concepts("reasons")
RELATIONSHIPS = concepts("relationships")
ROUTES = concepts("routes")
SERIOUSNESS = concepts("seriousness")
SITES = concepts("sites")
STAY_STATUS = plain("stay-status")
SURVEY_STATUS = plain("survey-status")
VERIFICATION = concepts("verification")

"""Which FHIR release a resource is written in, when it is not R4: told by what R4 does not have.

A document of another release is not read, however similar it looks: names moved and codes changed their meaning between them.
The tells, in the order they are asked: a canonical of another release in `meta.profile`, a type or an element that R4 does not
have and another release does (R5: https://hl7.org/fhir/R5/diff.html, STU3: https://hl7.org/fhir/STU3, DSTU2:
https://hl7.org/fhir/DSTU2), and a shape that changed (in R4 `clinicalStatus` is a CodeableConcept, before it was a code).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_OLD: Final = "DSTU2 or STU3"
_CANONICAL = re.compile(r"http://hl7\.org/fhir/(\d\.\d)/|http://hl7\.org/fhir/StructureDefinition/[^|]*\|(\d+\.\d+)")
_VERSIONS: Final = {"1.0": "DSTU2", "3.0": "STU3", "4.0": "", "4.1": "R4B", "4.3": "R4B", "5.0": "R5", "6.0": "R6"}
_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("BodySite", "Conformance", "DeviceUseRequest", "DiagnosticOrder", "ImagingObjectSelection", "MedicationOrder", "Order",
                     "OrderResponse"), "DSTU2"),
    **dict.fromkeys(("DataElement", "DeviceComponent", "EligibilityRequest", "EligibilityResponse", "ExpansionProfile", "ImagingManifest",
                     "ProcedureRequest", "ProcessRequest", "ProcessResponse", "ReferralRequest", "Sequence", "ServiceDefinition"), _OLD),
    **dict.fromkeys(("AdministrableProductDefinition", "Citation", "ClinicalUseDefinition", "EvidenceReport", "Ingredient",
                     "ManufacturedItemDefinition", "NutritionProduct", "PackagedProductDefinition", "RegulatedAuthorization",
                     "SubscriptionStatus", "SubscriptionTopic"), "R4B or R5"),
    **dict.fromkeys(("ActorDefinition", "ArtifactAssessment", "BiologicallyDerivedProductDispense", "ConditionDefinition",
                     "DeviceAssociation", "DeviceDispense", "DeviceUsage", "EncounterHistory", "FormularyItem", "GenomicStudy",
                     "ImagingSelection", "InventoryItem", "InventoryReport", "NutritionIntake", "Permission", "Requirements", "TestPlan",
                     "Transport"), "R5"),
}  # fmt: skip
#: elements of the top level that R4 does not have, by the release that does
_STU3: Final[Mapping[str, str]] = {
    "AdverseEvent": "description eventParticipant reaction",
    "AllergyIntolerance": "assertedDate",
    "Appointment": "incomingReferral indication",
    "CarePlan": "context definition",
    "Communication": "context definition notDone notDoneReason",
    "Condition": "abatementBoolean assertedDate context",
    "Encounter": "incomingReferral",
    "MedicationAdministration": "definition notGiven prescription reasonNotGiven",
    "Observation": "comment context related",
    "Patient": "animal",
    "Procedure": "context definition notDone notDoneReason",
    "Provenance": "period",
}
_DSTU2: Final[Mapping[str, str]] = {
    "AllergyIntolerance": "substance lastOccurence",
    "CarePlan": "modified participant relatedPlan",
    "Condition": "patient dateRecorded",
    "Encounter": "patient indication",
    "EpisodeOfCare": "condition",
    "MedicationAdministration": "patient practitioner wasNotGiven effectiveTimeDateTime effectiveTimePeriod",
    "Observation": "comments",
    "Patient": "careProvider",
    "Procedure": "notPerformed reasonNotPerformed request notes",
}
_R5: Final[Mapping[str, str]] = {
    "AdverseEvent": "code contributingFactor mitigatingAction occurrenceDateTime occurrencePeriod participant resultingEffect status",
    "AllergyIntolerance": "participant",
    "Appointment": "account cancellationDate cancellationReason class note occurrenceChanged recurrenceId subject virtualService",
    "CarePlan": "custodian",
    "Communication": "reason",
    "Condition": "participant",
    "Encounter": "actualPeriod admission careTeam plannedEndDate plannedStartDate specialArrangement subjectStatus virtualService",
    "EpisodeOfCare": "careTeam reason",
    "MedicationAdministration": "basedOn encounter isSubPotent medication occurenceDateTime occurencePeriod recorded reason",
    "Observation": "bodyStructure instantiatesCanonical triggeredBy",
    "Procedure": "focus occurrenceDateTime occurrencePeriod recorded reportedBoolean supportingInfo",
    "Provenance": "authorization basedOn encounter patient",
}
TELLS: Final = {"DSTU2": _DSTU2, "STU3": _STU3, "R5": _R5}
#: shapes that changed: type, element, what it looks like there, whose it is
_SHAPES: Final[tuple[tuple[str, str, Callable[[Any], bool], str], ...]] = (
    ("AllergyIntolerance", "clinicalStatus", lambda value: isinstance(value, str), "STU3"),
    ("AllergyIntolerance", "status", lambda value: isinstance(value, str), "DSTU2"),
    ("Appointment", "reason", lambda value: isinstance(value, dict), "DSTU2"),
    ("Condition", "clinicalStatus", lambda value: isinstance(value, str), _OLD),
    ("Condition", "verificationStatus", lambda value: isinstance(value, str), _OLD),
    ("Encounter", "class", lambda value: isinstance(value, str), "DSTU2"),
    ("Encounter", "class", lambda value: isinstance(value, list), "R5"),
    ("Encounter", "reason", lambda value: isinstance(value, list) and "coding" in (value or [None])[0], _OLD),
    ("Encounter", "reason", lambda value: isinstance(value, list), "R5"),
    ("Observation", "category", lambda value: isinstance(value, dict), "DSTU2"),
    ("Observation", "interpretation", lambda value: isinstance(value, dict), _OLD),
    ("RelatedPerson", "relationship", lambda value: isinstance(value, dict), _OLD),
)


def other_release(resource: Mapping[str, Any]) -> tuple[str, str] | None:
    """`(element, release)` of the first tell that the resource is not R4, such as `("Observation.related", "STU3")`."""
    kind = str(resource.get("resourceType"))
    if kind in _TYPES:
        return kind, _TYPES[kind]
    if named := _profiles(resource.get("meta")):
        return f"{kind}.meta.profile", named
    for release, tells in TELLS.items():
        for name in tells.get(kind, "").split():
            if name in resource:
                return f"{kind}.{name}", release
    for type_, name, looks, release in _SHAPES:
        if type_ == kind and name in resource and _matches(looks, resource[name]):
            return f"{kind}.{name}", release
    return None


def refusal(resource: Mapping[str, Any]) -> tuple[str, str] | None:
    """`(path, reason)` why the resource is not read; None for what may be R4."""
    if (found := other_release(resource)) is None:
        return None
    path, release = found
    return path, f"is FHIR {release}, which R4 reads differently; send it as R4"


def _profiles(meta: Any) -> str:
    """The release that a profile of HL7's own says, by its address or its version."""
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    for profile in profiles if isinstance(profiles, list) else ():
        said = _CANONICAL.match(profile) if isinstance(profile, str) else None
        if said and (release := _VERSIONS.get(said[1] or said[2], "")):
            return release
    return ""


def _matches(looks: Callable[[Any], bool], value: Any) -> bool:
    try:
        return looks(value)
    except (TypeError, IndexError):
        return False

"""Whatever a record holds, what is sent is R4: by our own check with its rules for sending, and by the models of `fhir.resources`."""

from pathlib import Path

import hypothesis
from law_cases import APPOINTMENTS, EXAMPLES, LOOK, SESSIONS, SHIPPED, Record, every_story, law, story

from fhir_bridge.fhir import check, models


def refused(record: Record) -> list[str]:
    return [str(fault) for resource in SHIPPED.to_fhir(record).resources for fault in check.faults(resource, sending=True)]


@law(record=SESSIONS)
def test_every_resource_of_a_session_passes_the_check(record: Record):
    assert refused(record) == []


@law(record=APPOINTMENTS)
def test_every_resource_of_an_appointment_passes_the_check(record: Record):
    assert refused(record) == []


@every_story
def test_every_resource_of_a_story_passes_without_exception(case: Path):
    assert [str(fault) for one in SHIPPED.to_fhir(story(case)).resources for fault in check.faults(one, sending=True)] == []


@hypothesis.settings(LOOK, max_examples=max(5, EXAMPLES // 3))
@hypothesis.given(record=SESSIONS)
def test_the_models_agree(record: Record):
    assert [str(fault) for one in SHIPPED.to_fhir(record).resources for fault in models.second_opinion(one)] == []

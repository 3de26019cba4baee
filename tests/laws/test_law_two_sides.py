"""Both sides change what they like: every difference is applied by its owner or shown as a conflict, and no word is lost."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from two_sides import CLINICS, FIELDS, TwoSides, two_sides

from fhir_bridge import documents

#: 1 000 histories on each run, in parts so that they can run side by side; in each both sides speak before either hears the other
HISTORIES, ROUNDS, QUIET, SEEDS = 100, 3, 3, range(10)


@pytest.fixture(params=SEEDS)
def sides(request: pytest.FixtureRequest) -> Iterator[TwoSides]:
    """After histories of some rounds each, and quiet. Where there is one, the database is on a disk of memory: nobody cuts the power."""
    memory = Path("/dev/shm")  # noqa: S108
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder, two_sides(Path(folder), request.param) as found:
        found.begin(HISTORIES)
        for number in range(ROUNDS):
            _round(found, found.rng, at_once=number == 0)
        for _ in range(QUIET):
            found.pull()
            found.deliver()
        yield found


def _round(sides: TwoSides, rng: Random, *, at_once: bool) -> None:
    """Some words of each patient, then what carries them; `at_once`: both sides have said something before anything is carried."""
    both = (sides.clinic_says, sides.hospital_says)
    for patient in sides.patients:
        for speak in rng.sample(both, 2) if at_once else ():
            while not speak(patient):
                pass
        for _ in range(rng.randrange(3)):
            rng.choice(both)(patient)
    for step in rng.choice(((sides.pull, sides.deliver), (sides.deliver, sides.pull), (sides.deliver,), (sides.pull,))):
        step()


def test_after_quiet_both_sides_say_the_same_or_a_conflict_shows_both_and_no_last_word_is_lost(sides: TwoSides) -> None:
    held, opened = sides.held(), sides.open_conflicts()
    assert (len(held), len(opened) > 0) == (HISTORIES, True)
    for patient in sides.patients:
        record = sides.record(patient)
        for path in FIELDS:
            part, name = path.split(".")
            ours, theirs = record[part][name], held[patient.number][path]
            conflict = opened.pop((f"A-{patient.number}", path), None)
            if conflict is None:
                assert ours == theirs, (path, ours, theirs)
            else:
                assert (documents.loads(conflict.their_value or b"null"), ours != theirs) == (theirs, True), path
            if path in patient.hospitals and path not in patient.spoken | CLINICS:  # its owner spoke, and nobody else
                assert (ours, conflict) == (patient.hospitals[path], None), path
            if path in CLINICS:  # the clinic's own field is changed by nobody else
                assert ours == patient.clinics[path]
            elif path in patient.hospitals:  # what the hospital said last of its own stands there, whatever the clinic says
                assert theirs == patient.hospitals[path]
            else:  # nobody but the clinic spoke of it
                assert (ours, theirs) == (patient.clinics[path], patient.clinics[path])
    assert opened == {}

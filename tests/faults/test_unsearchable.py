"""Oracle Health takes a Communication and offers no search for it. What was never sent needs no look; what is in doubt needs a person."""

import signal

from rehearsal import Forks, Rehearsal, ward

from fhir_bridge.sandbox.traffic import Visit

INSTRUCTED = Visit(0, patient=0, like="hapi")  # its words become a Communication


def held(run: Rehearsal) -> list[str]:
    return [version.path for version in run.hospital.chart.log if version.type == "Communication"]


def test_what_was_never_sent_is_created_though_no_search_would_find_it(forks: Forks, sqlite_url: str) -> None:
    with ward("oracle") as hospital:
        run = Rehearsal(sqlite_url, hospital, forks)
        run.accept(INSTRUCTED)
        assert run.drain() == 0
        assert (len(held(run)), run.stopped()) == (1, {})


def test_what_may_be_there_and_cannot_be_looked_for_is_stopped_and_no_later_version_sends_it_again(forks: Forks, sqlite_url: str) -> None:
    with ward("oracle") as hospital:
        run = Rehearsal(sqlite_url, hospital, forks)
        run.accept(INSTRUCTED)
        assert run.drain(fault="O8:kill:3") == -signal.SIGKILL
        run.settle()
        assert run.stopped() == {INSTRUCTED.id: "unsearchable"}
        run.accept(Visit(0, patient=0, version=2))
        run.settle()
        assert (len(held(run)), run.stopped()) == (1, {INSTRUCTED.id: "unsearchable"})

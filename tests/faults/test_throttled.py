"""A hospital that asks for a rest is left alone for as long as it says, and never for longer than six hours."""

import pytest
from rehearsal import HOUR, Forks, Rehearsal, ward

from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit


@pytest.mark.parametrize("path", ["/metadata$", "/fhir$"], ids=["statement", "write"])
@pytest.mark.parametrize("after", ["9999999999", "Thu, 31 Dec 2099 23:59:59 GMT"])
def test_a_rest_of_centuries_is_over_in_six_hours(forks: Forks, sqlite_url: str, path: str, after: str) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(sqlite_url, hospital, forks)
        run.accept(Visit(0, patient=0))
        hospital.faults.add(Failure(kind="throttled", path=path, retry_after=after))
        for hours, held in ((0, 0), (5.9, 0), (6.1, 1)):
            run.shift = hours * HOUR
            assert run.drain() == 0
            assert run.ledger().held == held, f"after {hours} hours"

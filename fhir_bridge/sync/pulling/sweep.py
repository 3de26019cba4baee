"""Where a server tells no changes: what is linked is read again and compared with what was seen last.

By patient, where the type can be searched so, else resource by resource. What a patient's search does not show is asked for by its
id; a resource that is not found twice is a tombstone.
"""

from typing import Any

from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.client import Call
from fhir_bridge.hospital.crawl import Crawl
from fhir_bridge.hospital.pages import FRESH, Trouble
from fhir_bridge.store import pulls
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.pulling import page
from fhir_bridge.sync.pulling.mode import Name
from fhir_bridge.sync.pulling.run import Refused, Run, Stop

_TOGETHER = 50  # resources asked for between two commits

# Epic searches an Observation by patient only together with a category or code (fhir.epic.com, Observation.Search).
# Oracle Health an Appointment only together with a date (docs.oracle.com, Millennium Appointment).
_BESIDE = {("epic", "Observation"): (("category", "vital-signs"),), ("oracle", "Appointment"): (("date", "ge2000-01-01"),)}


def again(run: Run, pull: Pull, mode: Name) -> None:
    """Read everything linked of the type again, from where the last sweep stopped. Raises `Stop` and `PullLost`."""
    by_patient = mode == "sweep"
    walked = "Patient" if by_patient else pull.type
    with run.step() as tx:
        going_on = (pull.next_page or "").startswith(f"{walked}/") and pull.since is None
        values: dict[str, Any] = {} if going_on else {"crawl": pull.crawl + 1, "since": None, "next_page": None}
        pull = pulls.moved(pull, values) if run.dry else pulls.move(tx, pull, seconds=run.bridge.lease_seconds, **values)
        names = pulls.linked(tx, pull, walked, after=pull.next_page or "")
    for number, start in enumerate(range(0, len(names), 1 if by_patient else _TOGETHER), start=1):
        part = names[start : start + (1 if by_patient else _TOGETHER)]
        pull = _of_patient(run, pull, part[0]) if by_patient else _asked(run, pull, part)
        run.tell(f"{pull.type}: {min(start + len(part), len(names))} of {len(names)}, call {number}")
    _finish(run, pull, by_patient=by_patient)


def _asked(run: Run, pull: Pull, names: list[str]) -> Pull:
    run.counts["entries"] += len(names)
    return page.store_asked(run, pull, names, next_page=names[-1])


def _of_patient(run: Run, pull: Pull, patient: str) -> Pull:
    search = run.capabilities.of(pull.type).search
    form: tuple[tuple[str, str], ...] = (("patient" if "patient" in search else "subject", patient), ("_count", str(run.page_size)))
    form += _BESIDE.get((run.capabilities.vendor, pull.type), ())
    first = Call("POST", f"{pull.type}/_search", headers=FRESH, form=form)  # no patient's id in an address
    for found in Crawl(run.hospital.client, first, pull.type, until=run.until, bases=run.capabilities.site.page_bases):
        if isinstance(found, Trouble):
            if found.kind == "refused":
                raise Refused(f"{pull.type}: {found.words}, although its statement offers to search by patient")
            raise Stop(f"{pull.type}: {found.words}; the next pull goes on with this patient")
        run.counts["entries"] += len(found.shown)
        done = pull.next_page if found.next else patient
        pull = page.store(run, pull, found.shown, current=True, next_page=done)
    return pull


def _finish(run: Run, pull: Pull, *, by_patient: bool) -> None:
    if run.dry:  # what was shown is not remembered
        return
    if by_patient:
        with run.step() as tx:
            missed = pulls.left_out(tx, pull, since=None)
        for start in range(0, len(missed), _TOGETHER):
            pull = page.store_asked(run, pull, missed[start : start + _TOGETHER])
    with run.step() as tx:
        fault_point("P4")
        pulls.move(tx, pull, next_page=None, finished_at=tx.now)

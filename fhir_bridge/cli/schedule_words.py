"""Runs and schedules as data and as lines, for the commands that print them."""

from typing import Any

from fhir_bridge import documents
from fhir_bridge.store.schedule_runs import Run
from fhir_bridge.store.schedules import Schedule
from fhir_bridge.sync import schedule as schedules
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedules import run as runs


def run_data(run: Run) -> dict[str, Any]:
    """`{site, run, schedule?, actor, what, hospitals, due?, missed?, started, ended?, seconds?, outcome, counts, parts}`."""
    told: dict[str, Any] = {"site": run.tenant, "run": run.number, "actor": run.actor, "what": run.what, "hospitals": list(run.hospitals)}
    told |= {"schedule": run.schedule} if run.schedule else {}
    told |= {"due": run.due_at.isoformat()} if run.due_at else {}
    told |= {"missed": run.missed} if run.missed else {}
    told["started"] = run.started_at.isoformat()
    if run.ended_at:
        told["ended"] = run.ended_at.isoformat()
        told["seconds"] = round((run.ended_at - run.started_at).total_seconds(), 1)
    return told | {"outcome": run.outcome or "running", "counts": runs.totals(run), "parts": documents.loads(run.report)}


def run_line(told: dict[str, Any]) -> str:
    """`default run 17 (both, nightly) 2026-11-23T02:30:00+00:00, 12.4 s: done, 3 delivered, 2 pulled`; what failed below it."""
    if "run" not in told:
        return f"{told['site']} {told['what']}: not run: {told['why']}"
    took = f", {told['seconds']} s" if "seconds" in told else ""
    missed = f", for {told['missed']} missed ones too" if "missed" in told else ""
    counts = "".join(f", {count} {name}" for name, count in told["counts"].items())
    by = told.get("schedule", told["actor"])
    head = f"{told['site']} run {told['run']} ({told['what']}, {by}) {told['started'][:19]}Z{took}: {told['outcome']}{counts}{missed}"
    failed = [f"  {part['work']} {part['hospital']}: {part['error']}" for part in told["parts"] if "error" in part]
    return "\n".join([head, *failed])


def schedule_data(bridge: Bridge, schedule: Schedule, last: Run | None) -> dict[str, Any]:
    """`{site, name, what, hospitals, cron, zone, words, next?, paused?, last?}`; `hospitals` null: all the site has."""
    zone = schedules.zone_of(bridge, schedule.tenant)
    told: dict[str, Any] = {
        "site": schedule.tenant,
        "name": schedule.name,
        "what": schedule.what,
        "hospitals": None if schedule.hospitals is None else list(schedule.hospitals),
        "cron": schedule.cron,
        "zone": schedule.zone,
        "words": schedules.next_in_words(schedule, zone),
    }
    told |= {"older_than": schedule.older_than} if schedule.older_than is not None else {}
    told |= {"next": schedule.next_at.isoformat()} if schedule.next_at else {}
    if schedule.paused_at:
        told["paused"] = {"since": schedule.paused_at.isoformat(), "by": schedule.paused_by, "why": schedule.paused_why}
    return told | ({"last": run_data(last)} if last else {})


def schedule_line(told: dict[str, Any]) -> str:
    """`default nightly: pull general; every day at 02:30, next Monday …`, and its last run below it."""
    where = "the archive" if told["what"] == "archive" else ", ".join(told["hospitals"] or ["all hospitals"])
    paused = f": {told['paused']['why']} ({told['paused']['by']})" if "paused" in told else ""
    lines = [f"{told['site']} {told['name']}: {told['what']} {where}; {told['words']}{paused}"]
    return "\n".join([*lines, *(f"  last: {line}" for line in ([run_line(told["last"])] if "last" in told else []))])

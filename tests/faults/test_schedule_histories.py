"""Whatever the downtimes, the runs by hand and the killed schedulers: the judge finds no overlap, no gap and no repetition."""

import itertools
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_book import faults

from fhir_bridge import bootstrap
from fhir_bridge.settings import Settings
from fhir_bridge.store import schedule_runs
from fhir_bridge.store.database import Store
from fhir_bridge.store.schedule_runs import Busy, Order, Run, RunLost
from fhir_bridge.sync import schedule
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.schedule import Named, Wish
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Leg, Limits
from fhir_bridge.sync.schedules.service import Scheduler

START = datetime(2026, 10, 31, 21, 30, tzinfo=UTC)  # New York's clocks change in the night to come
CRONS = ("*/7 * * * *", "0 * * * *", "30 1 * * *", "30 1,2,3 * * *", "*/20 0-6 * * *")
HAND = Order("default", "push", ("general",), "ann")
STEPS = st.one_of(
    st.integers(1, 900).map(lambda minutes: ("pass", minutes)),
    st.sampled_from([("tick", 0), ("taken and killed", 0), ("by hand", 0), ("hand ends", 0)]),
)
_numbers = itertools.count()
_SITE = bootstrap.site(Settings(), "default")


@dataclass
class World:
    """A bridge at the test's own time, and the runs that a person has under way."""

    bridge: Bridge
    now: datetime = START
    by_hand: list[Run] = field(default_factory=list)
    counted: int = 0

    def step(self, name: str, minutes: int) -> None:
        if name == "pass":
            self.now += timedelta(minutes=minutes)
        elif name == "tick":
            scheduler = Scheduler(self.bridge, works={"push": self._work})
            scheduler.tick()
            scheduler.wait()
        elif name == "taken and killed":
            for due in schedule.due(self.bridge)[0]:
                with suppress(Busy):
                    schedule.take(self.bridge, due)
        elif name == "by hand":
            with suppress(Busy):
                self.by_hand.append(run.begin(self.bridge, HAND))
        elif self.by_hand:
            with suppress(RunLost):
                run.carry_out(self.bridge, self.by_hand.pop(), {"push": self._work}, limits=Limits())

    def _work(self, leg: Leg) -> Mapping[str, int]:
        self.counted += 1
        self.now += timedelta(seconds=self.counted % 50)
        return {"delivered": 1}


@contextmanager
def world(template: Path, zone: ZoneInfo) -> Iterator[World]:
    file = shutil.copyfile(template, template.with_name(f"history-{next(_numbers)}.db"))
    made: list[World] = []
    store = Store(f"sqlite:///{file}", clock=lambda: made[0].now)
    site = Site("default", zone, _SITE.mapping, ("general",))
    bridge = Bridge(
        store=store, sites={"default": site}, hospitals={}, clock=lambda: made[0].now, rng=random.Random(0),
        new_id=lambda: "1", audit_key=b"rehearsed" * 4, lease_seconds=180,
    )  # fmt: skip
    made.append(World(bridge))
    yield made[0]
    store.close()
    file.unlink()


@settings(max_examples=30, deadline=None)
@given(cron=st.sampled_from(CRONS), zone=st.sampled_from(["America/New_York", "UTC"]).map(ZoneInfo), steps=st.lists(STEPS, max_size=25))
def test_every_history_is_without_overlap_gap_and_repetition(
    sqlite_template: Path, cron: str, zone: ZoneInfo, steps: list[tuple[str, int]]
) -> None:
    with world(sqlite_template, zone) as there:
        schedule.add(there.bridge, Named("default", "some"), Wish("push", cron), who="ann")
        for name, minutes in [*steps, ("pass", 1500), ("tick", 0), ("tick", 0)]:
            there.step(name, minutes)
        with there.bridge.store.reading() as tx:
            runs = schedule_runs.history(tx, "default", schedule="some", limit=1000)
            everything = schedule_runs.history(tx, "default", limit=1000)
        assert runs, "at the end it is due, and nothing is under way that lives"
        assert faults(runs, cron=cron, zone=zone, begun=START, now=there.now) == []
        ordered = sorted(everything, key=lambda each: each.number)
        for one, later in itertools.pairwise(ordered):
            assert one.ended_at is not None
            assert one.ended_at <= later.started_at
        [(standing, _)] = schedule.listing(there.bridge)
        assert standing.next_at is not None
        assert standing.next_at > runs[0].started_at

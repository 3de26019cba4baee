"""When a cron expression is due in a zone, and that in words. Nothing here reads a clock.

The rules are those of Debian's cron as cronsim keeps them: a time that does not exist (spring) is due at the next one that does, a
time that exists twice (autumn) is due once; an expression with a star for its minute or its hour goes by the time that passes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from fhir_bridge.errors import Fault, Refused

FIELDS = 5
MOST_MISSED = 1000  # counted no further


def checked(cron: str) -> str:
    """`cron` with single spaces; raises `Refused` for what is no expression, or is never due."""
    fields = cron.split()
    if len(fields) != FIELDS:
        raise _refused("needs five fields: minute, hour, day of month, month, day of week")
    try:
        next(CronSim(" ".join(fields), datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise _refused(f"is no cron expression: {error}") from None
    except StopIteration:
        raise _refused("is never due") from None
    return " ".join(fields)


def next_after(cron: str, zone: tzinfo, after: datetime) -> datetime:
    """The first time after `after` (aware) that `cron` is due in `zone`, in UTC. `cron` is `checked`."""
    return next(due_times(cron, zone, after))


def due_times(cron: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Every time after `after` that `cron` is due, in UTC, each later than the one before."""
    last = after.astimezone(UTC)
    for local in CronSim(cron, after.astimezone(zone)):
        # within the hour that exists twice, its second half, cronsim tells the first half's times
        if (found := local.astimezone(UTC)) > last:
            last = found
            yield found


def missed(cron: str, zone: tzinfo, *, due: datetime, now: datetime) -> int:
    """How many times after `due` were due until `now`, counted up to `MOST_MISSED`."""
    count = 0
    for moment in due_times(cron, zone, due):
        if moment > now or count == MOST_MISSED:
            break
        count += 1
    return count


def zone_of(zone: ZoneInfo | None) -> tzinfo:
    """A site without a zone has its schedules in UTC."""
    return zone or UTC


def name_of(zone: tzinfo) -> str:
    return "UTC" if zone is UTC else str(zone)


def in_words(cron: str) -> str:
    """`every day at 02:30`, `at 12:00 on Monday through Friday`."""
    said = str(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)).explain())
    said = said[0].lower() + said[1:]
    times = said.removesuffix(" every day")
    return f"every day {times}" if times != said and times.startswith("at ") else said


def moment_in_words(moment: datetime, zone: tzinfo) -> str:
    """`Monday 23 November 2026 02:30 America/New_York`."""
    local = moment.astimezone(zone)
    return f"{local:%A} {local.day} {local:%B %Y %H:%M} {name_of(zone)}"


def _refused(message: str) -> Refused:
    return Refused([Fault("cron", message)])

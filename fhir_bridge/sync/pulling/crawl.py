"""The changes of one type since the watermark, page by page: from its history, or from a search for what changed.

The window begins an overlap before the hospital's clock of the first page of the last crawl that was read to its end: what was
committed late is read again, and what was seen before costs nothing. The watermark is written last.
"""

from datetime import UTC, datetime
from typing import Any

from fhir_bridge.faults import fault_point
from fhir_bridge.hospital import pages
from fhir_bridge.hospital.crawl import Crawl
from fhir_bridge.hospital.pages import Page, Trouble
from fhir_bridge.store import pulls
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.pulling import page as pull_page
from fhir_bridge.sync.pulling.mode import Name
from fhir_bridge.sync.pulling.run import Refused, Run, Stop

_AGAIN = 3  # so often a window is begun again in one pull
_ROUNDS = 20  # so often the first page is read again until it shows nothing unseen
_SKEW = 60  # seconds


class Expired(Exception):
    """The search behind the next link is gone: the window is begun again."""


def changes(run: Run, pull: Pull, mode: Name) -> None:
    """Read the type's window to its end and move the watermark. Raises `Stop`, `Refused` and `PullLost`."""
    for _ in range(_AGAIN):
        begun = pull if pull.next_page and pull.since else _begun(run, pull)
        if begun is None:
            run.notes.append(f"{pull.type}: nothing of ours is there yet")
            return
        try:
            read, whole = _read(run, begun, mode)
        except Expired:
            pull = _forget(run, begun)
            continue
        if whole:
            _finish(run, read)
            return
        pull = _forget(run, read)
    run.note(f"{pull.type}: the pages moved while they were read, {_AGAIN} times; the window is read again with the next pull")


def address(type: str, mode: Name, *, since: datetime, count: int, sort: bool = True) -> str:
    """The path of the window's first page. `since` is included, cut to the second: some servers know no fractions."""
    moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if mode == "history":
        return f"{type}/_history?_since={moment}&_count={count}"
    order = "&_sort=-_lastUpdated" if sort else ""
    return f"{type}?_lastUpdated=ge{moment}{order}&_count={count}"


def _begun(run: Run, pull: Pull) -> Pull | None:
    with run.step() as tx:
        start = pull.watermark or pulls.first_link(tx, pull)
        if start is None:
            return None
        since = (start - run.overlap).replace(microsecond=0)
        values: dict[str, Any] = {"crawl": pull.crawl + 1, "since": since, "server_clock": None, "next_page": None}
        return _moved(run, tx, pull, values)


def _moved(run: Run, tx: Transaction, pull: Pull, values: dict[str, Any]) -> Pull:
    return pulls.moved(pull, values) if run.dry else pulls.move(tx, pull, seconds=run.bridge.lease_seconds, **values)


def _forget(run: Run, pull: Pull) -> Pull:
    """The cursor is of no use any more."""
    with run.step() as tx:
        return _moved(run, tx, pull, {"next_page": None})


def _read(run: Run, pull: Pull, mode: Name) -> tuple[Pull, bool]:
    """All pages, then the first ones again until nothing is unseen; False when something may have been passed by."""
    resumed = pull.next_page
    crawl = _crawl(run, pull, resumed or _first(run, pull, mode), onward=bool(resumed))
    top: set[tuple[str, str]] = set()
    number = 0
    for number, found in enumerate(crawl, start=1):
        page = _page(found, mode, pull.type, first=number == 1 and not resumed)
        if number == 1 and not resumed:
            pull = _clocked(run, pull, page)
            top |= set(page.marks)
        pull = _stored(run, pull, page, mode, onward=page.next)
        run.tell(f"{pull.type}: page {number}")
    if number > 1 or resumed:
        pull = _top_again(run, pull, mode, top)
    return pull, not crawl.shrunk


def _top_again(run: Run, pull: Pull, mode: Name, top: set[tuple[str, str]]) -> Pull:
    """New changes stand in front: the first pages are read again down to what was seen, until the first shows nothing else."""
    for _ in range(_ROUNDS):
        fresh: set[tuple[str, str]] = set()
        for found in _crawl(run, pull, _first(run, pull, mode), ahead=False):
            page = _page(found, mode, pull.type, first=False)
            unseen = set(page.marks) - top
            if unseen:
                pull = _stored(run, pull, page, mode, onward=None)
            fresh |= unseen
            if not unseen or unseen != set(page.marks):
                break
        if not fresh:
            break
        top |= fresh
    return pull


def _first(run: Run, pull: Pull, mode: Name) -> str:
    assert pull.since is not None, "a crawl that was begun has a window"  # noqa: S101
    return address(pull.type, mode, since=pull.since, count=run.page_size)


def _crawl(run: Run, pull: Pull, path: str, *, onward: bool = False, ahead: bool = True) -> Crawl:
    bases = run.capabilities.site.page_bases
    return Crawl(run.hospital.client, pages.onward(path), pull.type, until=run.until, onward=onward, ahead=ahead, bases=bases)


def _page(found: Page | Trouble, mode: Name, type: str, *, first: bool) -> Page:
    if isinstance(found, Page):
        return found
    if found.kind == "expired":
        raise Expired
    if found.kind == "refused" and first:
        raise Refused(f"{type}: {found.words}, although its statement offers the {mode}")
    raise Stop(f"{type}: {found.words}; the next pull goes on where this one stopped")


def _clocked(run: Run, pull: Pull, page: Page) -> Pull:
    """The crawl's clock is the server's at its first page."""
    if page.clock is None:
        run.note(f"{pull.type}: the hospital tells no time with its answers, so the window stays where it began")
        return pull
    ahead = (page.clock - run.bridge.clock()).total_seconds()
    if abs(ahead) > _SKEW:
        side = "ahead of" if ahead > 0 else "behind"
        run.note(f"the hospital's clock is more than a minute {side} ours (about {abs(ahead) / 60:.0f} minutes): one of the two is wrong")
    return pulls.moved(pull, {"server_clock": page.clock})


def _stored(run: Run, pull: Pull, page: Page, mode: Name, *, onward: str | None) -> Pull:
    run.counts["entries"] += len(page.shown)
    shown = list(reversed(page.shown)) if mode == "history" else list(page.shown)
    return pull_page.store(run, pull, shown, current=mode != "history", next_page=onward, server_clock=pull.server_clock)


def _finish(run: Run, pull: Pull) -> None:
    """What the window should have shown and did not is asked for; then the watermark moves."""
    if run.dry:  # what was shown is not remembered
        return
    unsettled = run.counts[pull_page.UNSETTLED]
    with run.step() as tx:
        missed = pulls.left_out(tx, pull, since=pull.since)
    if missed:
        pull = pull_page.store_asked(run, pull, missed)
    with run.step() as tx:
        fault_point("P4")
        mark = _watermark(pull, pulls.oldest_open_write(tx, pull)) if run.counts[pull_page.UNSETTLED] == unsettled else pull.watermark
        pulls.move(tx, pull, watermark=mark, next_page=None, since=None, server_clock=None, finished_at=tx.now)


def _watermark(pull: Pull, open_write: datetime | None) -> datetime | None:
    """It never goes back, and does not pass the beginning of a write whose end nobody knows: what that made is not linked yet."""
    found = [time for time in (pull.server_clock, open_write) if time is not None] if pull.server_clock else []
    reached = [time for time in (min(found, default=None), pull.watermark) if time is not None]
    return max(reached, default=None)

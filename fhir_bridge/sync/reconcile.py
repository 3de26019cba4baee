"""Everything we believe against everything the hospital holds: what is missing there, what is more, what is different.

A pull goes first. What is found after it the pull should have seen, and each such find is a counted defect (`pull_missed`): the
proof that the increments lose nothing. A repair takes the ordinary way of a pulled page.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.client import Call, NoReply, Reply
from fhir_bridge.hospital.crawl import Crawl
from fhir_bridge.hospital.pages import FRESH, Trouble, moment
from fhir_bridge.hospital.seen import Seen, of_resource
from fhir_bridge.store import audit, conflicts, links, pulls
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.bridge import Bridge, Hospital
from fhir_bridge.sync.delivery import held
from fhir_bridge.sync.delivery.job import Outage
from fhir_bridge.sync.delivery.reading import read_all
from fhir_bridge.sync.delivery.statement import capabilities
from fhir_bridge.sync.pull import pull
from fhir_bridge.sync.pulling.apply import apply_page, is_older
from fhir_bridge.sync.pulling.compare import is_unchanged, says_the_same
from fhir_bridge.sync.pulling.mode import TYPES, modes_of
from fhir_bridge.sync.pulling.record import Page
from fhir_bridge.sync.pulling.whole import named

AT_ONCE = 100
HOUR = 3600.0
FINDS = ("missing", "extra", "different")


@dataclass(frozen=True, slots=True)
class Find:
    """`what`: missing there, extra there, or different. `missed`: the pull should have seen it. No value of it is told."""

    what: str
    ours: str
    theirs: str
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of one hospital. `counts`: same, known (a person has it, or decided), missing, extra, different, unanswered.

    `repaired` is what `apply_page` says of the finds; `whole` is False when the hospital did not answer everything.
    """

    hospital: str
    counts: Mapping[str, int]
    finds: tuple[Find, ...] = ()
    repaired: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    whole: bool = True

    @property
    def pull_missed(self) -> int:
        """The defects of the pull: 0 is the promise."""
        return sum(find.missed for find in self.finds)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a comparison would meet at one hospital: `links` are all it would read. `counts` are of the first `compared` alone, as they
    are before its pull: same, known, missing, different, unanswered, and `brought` that the pull would have applied before.

    `finds` are those that would be left; `notes` are for a person.
    """

    links: int
    compared: int
    counts: Mapping[str, int]
    finds: tuple[Find, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Work:
    """One comparison on its way; `began` is when the pull before it began, by the hospital's clock."""

    bridge: Bridge
    tenant: str
    hospital: Hospital
    capabilities: Capabilities
    repair: bool
    tell: Callable[[str], object]
    began: Mapping[str, datetime | None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    finds: list[Find] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    systems: dict[str, set[str]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the identifier systems of this site begin with."""
        return f"{self.bridge.sites[self.tenant].mapping.tables.site.get('system', '')}/"


def reconcile(
    bridge: Bridge, *, tenant: str, hospital: str, who: str, repair: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Reconciled:
    """Compare, and with `repair` apply what is found; `tell` says how far it is. Raises `Refused`, and the store's errors."""
    place = _known(bridge, tenant, hospital)
    found = capabilities(bridge, tenant=tenant, hospital=place)
    if isinstance(found, Outage):
        return Reconciled(hospital, {}, notes=(found.reason,), whole=False)
    work = _Work(bridge, tenant, place, found, repair, tell)
    pulled = pull(bridge, tenant=tenant, hospital=hospital, tell=tell)
    work.notes += pulled.notes
    work.began = _watermarks(work)
    _compare_links(work)
    _look_for_more(work)
    result = Reconciled(
        hospital, dict(work.counts), tuple(work.finds), dict(work.repaired), tuple(work.notes),
        pulled.whole and not work.counts["unanswered"],
    )  # fmt: skip
    _write_down(work, result, who)
    return result


def foresee(bridge: Bridge, *, tenant: str, hospital: str, capabilities: Capabilities, tell: Callable[[str], object]) -> Foreseen:
    """Read the first hundred of what is linked and compare them; nothing is pulled, searched for, repaired or stored."""
    work = _Work(bridge, tenant, _known(bridge, tenant, hospital), capabilities, repair=False, tell=tell)
    work.began = _watermarks(work)
    compared, total = _compare_links(work, most=AT_ONCE)
    brought = [find for find in work.finds if not find.missed and _is_pulled(work, find.theirs.partition("/")[0])]
    left = tuple(find for find in work.finds if find not in brought)
    counts = Counter({word: work.counts[word] for word in ("same", "known", "unanswered")}) + Counter(find.what for find in left)
    return Foreseen(total, compared, dict(counts + Counter(brought=len(brought))), left, tuple(work.notes))


def _compare_links(work: _Work, *, most: int | None = None) -> tuple[int, int]:
    """Read what each link names, in batches, and lay it beside what was seen there last; (how many were, how many there are)."""
    after, done = "", 0
    with work.bridge.store.reading() as tx:
        total = links.count(tx, work.tenant, work.hospital.name)
    while True:
        with work.bridge.store.reading() as tx:
            rows = links.page(tx, work.tenant, work.hospital.name, after=after, limit=AT_ONCE)
        if not rows or done == most:
            return done, total
        replies = read_all(work, [row.theirs or "" for row in rows])
        shown = [(row, _seen(row, reply)) for row, reply in zip(rows, replies, strict=True)]
        _judge(work, shown)
        for row in rows:
            ours = {one for one in _systems(row) if one.startswith(work.prefix)}
            work.systems.setdefault(row.ours.partition("/")[0], set()).update(ours)
        after, done = rows[-1].ours, done + len(rows)
        work.tell(f"{work.hospital.name}: {done} of {total} compared, {len(work.finds)} found")


def _judge(work: _Work, shown: Sequence[tuple[links.Link, Seen | None]]) -> None:
    asked = [row for row, _ in shown]
    with work.bridge.store.reading() as tx:
        now = {row.ours: row for row in links.of_ours(tx, work.tenant, work.hospital.name, [row.ours for row in asked])}
        told = {one.ours for one in conflicts.holding(tx, work.tenant, work.hospital.name, list(now)) if one.what != conflicts.FIELD}
        flying = pulls.being_written(tx, Pull(work.tenant, work.hospital.name, ""), [row.theirs or "" for row in asked])
    news: list[Seen] = []
    for row, one in shown:
        word = "unanswered" if one is None else _word(work, row, one)
        if word in FINDS and (row.ours in told or row.theirs in flying or now.get(row.ours) != row):
            word = "known"  # a person has it, or it is being written, or it changed while it was read
        work.counts[word] += 1
        if word in FINDS and one is not None:
            work.finds.append(Find(word, row.ours, one.theirs, _missed(work, one)))
            news.append(one)
    _repair(work, news)


def _word(work: _Work, row: links.Link, one: Seen) -> str:
    if one.resource is None:
        return "missing"
    older = is_older(one.version, row.version or "")
    if one.version and one.version == row.version:
        return "same"
    unchanged = bool(row.seen and is_unchanged(row.seen, documents.dumps(one.resource)))
    same = unchanged or says_the_same(work.bridge.sites[work.tenant], held.link(row), one.resource)
    return "same" if same and not older else "different"


def _look_for_more(work: _Work) -> None:
    """What carries an identifier of ours and has no link, where the hospital can be searched by identifier."""
    unsearched = []
    for kind, systems in sorted(work.systems.items()):
        can = work.capabilities.of(kind)
        if not (can.can("search-type") and "identifier" in can.search):
            unsearched.append(kind)
            continue
        for system in sorted(systems):
            for shown in _search(work, kind, system):
                _extra(work, shown)
    if unsearched:
        work.notes.append(f"not searched for more than is known, because it cannot be by identifier: {', '.join(unsearched)}")


def _search(work: _Work, kind: str, system: str) -> Iterator[tuple[Seen, ...]]:
    first = Call("POST", f"{kind}/_search", headers=FRESH, form=(("identifier", f"{system}|"), ("_count", "200")))
    for found in Crawl(work.hospital.client, first, kind, until=time.monotonic() + HOUR):
        if isinstance(found, Trouble):
            work.counts["unanswered"] += 1
            work.notes.append(f"{kind}: {found.words}")
            return
        yield found.shown


def _extra(work: _Work, shown: Sequence[Seen]) -> None:
    with work.bridge.store.reading() as tx:
        page = Page(work.bridge, tx, work.tenant, work.hospital.name)
        linked = links.stamps(tx, work.tenant, work.hospital.name, [one.theirs for one in shown])
        more = [(one, named(page, one.resource)) for one in shown if one.resource is not None and one.theirs not in linked]
        told = conflicts.holding(tx, work.tenant, work.hospital.name, [name[0] for _, name in more if name])
    doubled = {one.ours for one in told if one.what == "duplicate"}
    ours = [(one, name[0]) for one, name in more if name is not None]
    work.counts["known"] += sum(name in doubled for _, name in ours)
    news = [(one, name) for one, name in ours if name not in doubled]
    work.counts["extra"] += len(news)
    work.finds += [Find("extra", name, one.theirs, _missed(work, one)) for one, name in news]
    _repair(work, [one for one, _ in news])


def _missed(work: _Work, one: Seen) -> bool:
    """Whether the pull should have seen it: the type is pulled, and the change is older than what the pull has seen everything of."""
    if not _is_pulled(work, one.type):
        return False
    if one.resource is None:  # the other ways see a deletion by and by, or leave it to us
        return modes_of(work.capabilities, one.type)[0].name == "history"
    updated, seen_until = moment(one.last_updated), work.began.get(one.type)
    return updated is not None and seen_until is not None and updated < seen_until


def _is_pulled(work: _Work, type: str) -> bool:
    return type in TYPES and modes_of(work.capabilities, type)[0].name != "none"


def _repair(work: _Work, news: Sequence[Seen]) -> None:
    if work.repair and news:
        with work.bridge.store.transaction() as tx:
            applied = apply_page(work.bridge, tx, tenant=work.tenant, hospital=work.hospital.name, seen=news)
        work.repaired.update(applied.counts)


def _write_down(work: _Work, result: Reconciled, who: str) -> None:
    with work.bridge.store.transaction() as tx:
        audit.write(
            tx, tenant=work.tenant, actor=who, action="reconcile", subject=f"hospital/{work.hospital.name}",
            detail={"counts": result.counts, "pull_missed": result.pull_missed, "repaired": result.repaired, "whole": result.whole},
            now=tx.now, key=work.bridge.audit_key,
        )  # fmt: skip


def _watermarks(work: _Work) -> dict[str, datetime | None]:
    """By type: up to when, by the hospital's clock, a pull has seen everything."""
    with work.bridge.store.reading() as tx:
        rows = [pulls.of(tx, work.tenant, work.hospital.name, type) for type in TYPES]
    return {row.type: row.watermark or row.finished_at for row in rows}


def _seen(row: links.Link, reply: Reply | NoReply) -> Seen | None:
    """What a read showed; None when the hospital did not say how the resource stands."""
    type, _, id = (row.theirs or "").partition("/")
    if isinstance(reply, NoReply):
        return None
    if reply.status in (404, 410):
        return Seen(type, id, "", "", None)
    return of_resource(reply.body) if reply.status == 200 and reply.resource_type == type and reply.body.get("id") == id else None


def _systems(row: links.Link) -> set[str]:
    """The identifier systems of what was sent: ours is among them."""
    said = (documents.loads(row.sent) if row.sent else {}).get("identifier")
    return {one["system"] for one in (said if isinstance(said, list) else [said]) if isinstance(one, dict) and "system" in one}


def _known(bridge: Bridge, tenant: str, hospital: str) -> Hospital:
    site = bridge.sites.get(tenant)
    if site is None or hospital not in site.hospitals or hospital not in bridge.hospitals:
        raise Refused([Fault("hospital", f"this site has none of that name; known: {', '.join(site.hospitals if site else ()) or 'none'}")])
    return bridge.hospitals[hospital]

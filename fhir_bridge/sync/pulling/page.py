"""What one page brings is stored together with where the reading goes on, or not at all.

What is ours is judged against what is known of it; only what is new goes to `apply_page`. What is in doubt is asked for once more,
outside the transaction, and judged again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.client import Call, Reply
from fhir_bridge.hospital.pages import FRESH, moment
from fhir_bridge.hospital.seen import Seen, of_resource
from fhir_bridge.store import audit, hospitals, pulls
from fhir_bridge.store.database import StoreError, Transaction
from fhir_bridge.store.pulls import Known, Pull
from fhir_bridge.sync.pulling.apply import apply_page
from fhir_bridge.sync.pulling.judge import Standing, mark, standing
from fhir_bridge.sync.pulling.run import Run, Stop, log

MISSED = 2  # so often not found before it counts as deleted
FEW = 5  # of a page may be documents that nobody foresaw
UNSETTLED = "unsettled"

Answers = Mapping[str, Seen | None]  # what the hospital answered when asked for one resource: None when it knows none


@dataclass(slots=True)
class Sorted:
    """What a page holds. `news` is by `Type/id`, the last word on each of ours; `rows` is what is to be remembered of them."""

    strangers: list[Seen] = field(default_factory=list)
    news: dict[str, Seen] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def store(run: Run, pull: Pull, seen: Sequence[Seen], *, current: bool, **cursor: Any) -> Pull:
    """Apply `seen` and move the cursor (fields of `Pull`); raises `Stop` (frozen, no answer) and `PullLost`.

    `current`: each is the state of now, as a search shows it.
    """
    run.go_on(pull.type)
    answers: dict[str, Seen | None] = {}
    fault_point("P1")
    while True:
        with run.step() as tx:
            found = _sort(run, tx, pull, seen, answers=answers, current=current)
            if not (found.doubts or found.backwards):
                pull = _keep(run, tx, pull, found, cursor)
        if found.backwards:
            freeze(run, pull, found.backwards)
        if not found.doubts:
            fault_point("P3-committed")
            return pull
        answers |= {theirs: ask(run, theirs) for theirs in found.doubts}


def store_asked(run: Run, pull: Pull, theirs: Sequence[str], **cursor: Any) -> Pull:
    """The same for resources that are asked for one by one."""
    run.go_on(pull.type)
    answers = {each: ask(run, each) for each in theirs}
    fault_point("P1")
    with run.step() as tx:
        found = _sort(run, tx, pull, [], answers=answers, current=True, asked=theirs)
        if not found.backwards:
            pull = _keep(run, tx, pull, found, cursor)
    if found.backwards:
        freeze(run, pull, found.backwards)
    fault_point("P3-committed")
    return pull


def ask(run: Run, theirs: str) -> Seen | None:
    """One resource as it is now; None when the hospital knows none (404). Raises `Stop` when it does not say."""
    type, _, id = theirs.partition("/")
    reply = run.hospital.client.send(Call("GET", theirs, headers=FRESH))
    if isinstance(reply, Reply):
        if reply.status == 200 and reply.resource_type == type and reply.body.get("id") == id:
            return of_resource(reply.body)
        if reply.status == 410:
            return Seen(type, id, "", "", None)
        if reply.status == 404:
            return None
    raise Stop(f"{type}: the hospital did not say how one resource stands; it is asked again with the next pull")


def freeze(run: Run, pull: Pull, backwards: Sequence[str]) -> None:
    """The hospital shows older states than before: nothing more is read of the type or sent there, until a person says so."""
    why = f"{pull.type} went back to an older version at {len(backwards)} resources: was the hospital restored from a backup?"
    with run.step() as tx:
        pulls.freeze(tx, pull, why=why, now=tx.now)
        hospitals.pause(tx, run.tenant, run.hospital.name, who="pull", why=why, now=tx.now)
        audit.write(
            tx, tenant=run.tenant, actor="pull", action="frozen", subject=f"hospital/{run.hospital.name}",
            detail={"type": pull.type, "resources": list(backwards)[:20]}, now=tx.now, key=run.bridge.audit_key,
        )  # fmt: skip
    log.error("%s: %s", run.hospital.name, why)
    raise Stop(f"{why} Reading it is frozen, and nothing is sent there. Look, then thaw it.")


def _keep(run: Run, tx: Transaction, pull: Pull, found: Sorted, cursor: Mapping[str, Any]) -> Pull:
    run.counts.update([*found.words, *("gone" if one.resource is None else "changed" for one in found.news.values())])
    _apply(run, tx, found)
    fault_point("P2")
    pulls.saw(tx, pull, list(found.rows.values()))
    moved = pull if run.dry else pulls.move(tx, pull, seconds=run.bridge.lease_seconds, **cursor)
    fault_point("P3")
    return moved


def _apply(run: Run, tx: Transaction, found: Sorted) -> None:
    """A resource that cannot be applied (a document nobody foresaw) keeps back itself, not its page: a person is told its name.

    Where that happens to many of a page, the fault is ours: nothing of it is kept, and it is read again. Raises `Stop`.
    """
    news = [*found.news.values(), *found.strangers]  # among the strangers may be what we wrote and never heard of
    if not news or _applied(run, tx, news) is None:
        return
    failed = {one.theirs: why for one in news if (why := _applied(run, tx, [one])) is not None}
    if len(failed) > FEW:
        why = ", ".join(sorted(set(failed.values())))
        raise Stop(f"{news[0].type}: {len(failed)} resources of one page could not be applied ({why}); it is read again with the next pull")
    for theirs, why in failed.items():
        found.rows.pop(theirs, None)
        run.counts["not applied"] += 1
        run.note(f"{theirs} could not be applied ({why}); it is tried again while it is in the window")


def _applied(run: Run, tx: Transaction, news: Sequence[Seen]) -> str | None:
    """None, or what kept `news` from being applied; then nothing of it is."""
    try:
        with tx.part():
            applied = apply_page(run.bridge, tx, tenant=run.tenant, hospital=run.hospital.name, seen=news)
    except StoreError:
        raise
    except Exception as error:  # its text may quote the document
        return type(error).__name__
    run.applied.update({word: count for word, count in applied.counts.items() if word != "stranger"})
    return None


def _sort(
    run: Run, tx: Transaction, pull: Pull, seen: Sequence[Seen], *, answers: Answers, current: bool, asked: Sequence[str] = ()
) -> Sorted:
    known = pulls.known(tx, pull, list(dict.fromkeys([*asked, *(one.theirs for one in seen)])))
    busy = pulls.being_written(tx, pull, list(known))
    found, now = Sorted(), tx.now
    found.words += ["being written" for theirs in asked if theirs in busy]
    doubts = dict.fromkeys(theirs for theirs in asked if theirs in known and theirs not in busy)
    for one in seen:
        if one.theirs not in known:
            found.words.append("strangers")
            found.strangers += [one] if one.resource is not None else []
        elif one.theirs in busy:
            found.words.append("being written")
        else:
            _judge(found, one, known[one.theirs], doubts, now=now, current=current)
    for theirs in doubts:
        if theirs not in answers:
            found.doubts.append(theirs)
        else:
            settled = max(one.at for one in known[theirs]) <= now - run.overlap / 2
            _answered(found, theirs, answers[theirs], known[theirs], now=now, settled=settled)
    return found


def _judge(found: Sorted, one: Seen, known: list[Known], doubts: dict[str, None], *, now: datetime, current: bool) -> None:
    word = standing(one, known, current=current)
    if word is Standing.DOUBT:
        doubts[one.theirs] = None
    elif word is Standing.OLDER:
        found.words.append("older")
    else:
        _take(found, one, known, now=now, new=word is Standing.NEW)


def _answered(found: Sorted, theirs: str, answer: Seen | None, known: list[Known], *, now: datetime, settled: bool) -> None:
    """The hospital was asked. What it shows now cannot be older than what it showed before, unless it was restored.

    `settled`: long enough has passed that a server which writes in one place and reads in another shows the same in both.
    """
    if answer is None and not any(one.gone for one in known):
        missing = max(one.missing for one in known) + 1
        if missing < MISSED:
            _missed(found, theirs, known, missing, now)
            return
    type, _, id = theirs.partition("/")
    one = answer or Seen(type, id, "", "", None)
    word = standing(one, known, current=True)
    if word is not Standing.DOUBT:
        _take(found, one, known, now=now, new=word is Standing.NEW)
    elif settled:
        found.backwards.append(theirs)
    else:
        found.words.append(UNSETTLED)


def _take(found: Sorted, one: Seen, known: list[Known], *, now: datetime, new: bool) -> None:
    gone = one.resource is None
    found.rows[one.theirs] = _row(one.id, mark(one), moment(one.last_updated), now=now, gone=gone)
    if new:
        found.news[one.theirs] = one
        known.append(Known(mark(one), now, moment(one.last_updated), gone))
    else:
        found.words.append("known")


def _missed(found: Sorted, theirs: str, known: list[Known], missing: int, now: datetime) -> None:
    before = next((one for one in known if not one.ours), known[0])
    found.words.append("missed")
    row = _row(theirs.partition("/")[2], before.version, before.last_updated, now=before.at, gone=False)
    found.rows[theirs] = row | {"missing": missing}


def _row(id: str, version: str, updated: datetime | None, *, now: datetime, gone: bool) -> dict[str, Any]:
    gone_at = now if gone else None
    return {"id": id, "version": version, "last_updated": updated, "missing": 0, "seen_at": now, "gone_at": gone_at}

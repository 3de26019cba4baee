"""A preview for people: what each part of a run would do, a line for each thing. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Part = Mapping[str, Any]


def lines(part: Part) -> Iterator[str]:
    """The part in words; the first line says the most."""
    head, rest = _WORDS[part["work"]]
    yield f"{part['work']} {part['hospital']}".rstrip() + ": " + (part.get("why") or head(part))
    yield from (f"  {line}" for line in rest(part))


def _push(part: Part) -> str:
    fetched = f"; {len(part['fetches'])} orders of Tasks would be fetched at their senders first" if part["fetches"] else ""
    return (f"{len(part['deliveries'])} would be delivered" if part["deliveries"] else "nothing is due") + fetched


def _deliveries(part: Part) -> Iterator[str]:
    for one in part.get("deliveries", ()):
        yield f"{one['record']} version {one['version']}: {one.get('why', '')}".rstrip()
        yield from (f"  {line}" for line in one["words"])
    if part.get("more"):
        yield "and more; only the oldest are told here"


def _pull(part: Part) -> str:
    return _counted(part["counts"]) or "nothing has changed"


def _reading(part: Part) -> Iterator[str]:
    for type, way in part.get("ways", {}).items():
        since = f"; read up to {part['cursors'][type]}" if type in part["cursors"] else "; never read to its end"
        yield f"{way}{since}" + (", and goes on within a reading that was broken off" if type in part["unfinished"] else "")
    yield from part.get("notes", ())
    if part.get("subscriptions"):
        yield f"and the hospital would be asked to tell of changes: {', '.join(part['subscriptions'])}"


def _reconcile(part: Part) -> str:
    some = f"; of the first {part['compared']}: {_counted(part['counts'])}" if part["compared"] else ""
    return f"{part['links']} resources would be read and compared{some}"


def _comparison(part: Part) -> Iterator[str]:
    if "pull" not in part:
        return
    yield f"before it a pull: {_pull(part['pull'])}"
    yield from (f"  {line}" for line in _reading(part["pull"]))
    yield from (
        f"{one['what']}: {one['theirs']} ({one['ours']})" + (", missed by the pull" if one["missed"] else "") for one in part["finds"]
    )
    yield from part["notes"]
    yield "and what is more there would be searched for by our identifiers, which is not foreseen; nothing is repaired by a schedule"


def _archive(part: Part) -> str:
    more = "more than " if part["more"] else ""
    return f"{more}{part['archived']} deliveries closed before {part['before']} would be put away"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


_WORDS: Mapping[str, tuple[Callable[[Part], str], Callable[[Part], Iterable[str]]]] = {
    "push": (_push, _deliveries),
    "pull": (_pull, _reading),
    "reconcile": (_reconcile, _comparison),
    "archive": (_archive, lambda _: ()),
}

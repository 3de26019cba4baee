"""How the demonstration is shown: a screen for each case, with what was posted, what the hospital holds, and what it kept."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fhir_bridge.cli.demo_loop import Step
from fhir_bridge.cli.demo_story import Story

WORDS = {
    "folded": "in words, in the summary document",
    "work": "left to a person",
    "waiting": "waiting for a later record, then sent",
    "unsent": "wrong from the start, never sent",
}
STANDS = ("ServiceRequest", "Task", "Encounter", "Appointment")  # whose status tells where a record stands
SHORT = 8  # characters of an id that are enough to tell it by


def show(console: Console, case: Path, stories: Sequence[Story]) -> None:
    """One case."""
    about = case / "about.txt"
    console.print(f"\n[bold]{case.name}[/]")
    console.print(about.read_text().strip() if about.exists() else "")
    console.print(_posted(stories))
    console.print(_holds(stories))
    if said := otherwise(stories):
        console.print(f"Not as resources of their own: {said}")
    for verdict in ("changed", "dropped"):
        if paths := sorted({path for story in stories for path in story.paths(verdict)}):
            console.print(f"The hospital {verdict}: {', '.join(paths)}")


def begin(console: Console) -> None:
    """The heading of the story of referrals."""
    console.print("\n[bold]a referral, from both sides[/]")
    console.print("A hospital pushes a referral in each of four shapes; one of them goes the whole way.")


def step(console: Console, one: Step) -> None:
    """One line of the story of referrals, as it happens."""
    console.print(f"[bold]{one.who:<9}[/]{one.did:<70}{one.came}")


def both_sides(console: Console, ends: Sequence[Story]) -> None:
    """How each record of the story stands at last: what the clinic says, what the hospital holds, and whether that is the same."""
    console.print()
    table = Table("record", "the clinic says", "the hospital says", "both sides", box=None, pad_edge=False)
    for story in ends:
        says = ", ".join(f"{one['resourceType']} {one['status']}" for one in story.held if one["resourceType"] in STANDS)
        table.add_row(f"{story.record} v{story.version}", story.stands, says or "in words, or at our door", _back(story))
    console.print(table)


def close(console: Console, stories: Sequence[Story]) -> None:
    """The last lines."""
    delivered, whole = sum(story.state == "delivered" for story in stories), [story for story in stories if story.whole]
    if len(whole) == len(stories):
        console.print(f"\n{sum(story.equal for story in stories)} of {len(stories)} records carried to the hospital and back, equal.")
        return
    console.print(f"\n{delivered} of {len(stories)} records delivered; the hospital holds {len(whole)} of them whole as data.")
    if whole:
        console.print(f"{sum(story.equal for story in whole)} of {len(whole)} came back equal.")


def otherwise(stories: Sequence[Story]) -> str:
    """What did not become resources, in words with counts: `12 in words, in the summary document; 1 left to a person`."""
    counts = {way: sum(story.ways.get(way, 0) for story in stories) for way in WORDS}
    return "; ".join(f"{count} {WORDS[way]}" for way, count in counts.items() if count)


def _posted(stories: Sequence[Story]) -> Table:
    table = Table("posted", "record", "patient", "status", "delivery", "sent", "kept", "came back", box=None, pad_edge=False)
    for story in stories:
        back = _back(story)
        record = f"{story.record} v{story.version}"
        kept = f"{story.kept}" if story.kept == len(story.sent) else f"[yellow]{story.kept}[/]"
        table.add_row(f"{story.file}.json", record, story.patient, story.status, story.state, str(len(story.sent)), kept, back)
    return table


def _back(story: Story) -> str:
    if not story.whole:
        return "[yellow]in part[/]" if story.state == "delivered" else "[red]NO[/]"
    return "[green]equal[/]" if story.equal else "[red]DIFFERENT[/]"


def _holds(stories: Sequence[Story]) -> Table:
    """What the hospital holds of all records of the case, a line for each type, each resource at its last version."""
    by_type: dict[str, dict[str, str]] = defaultdict(dict)
    for story in stories:
        for one in story.sent:
            kind, _, identity = one["theirs"].partition("/")
            by_type[kind][identity] = one["version"] or "?"
    table = Table("the hospital holds", "how many", "versions", "ids", box=None, pad_edge=False)
    for kind, versions in sorted(by_type.items()):
        table.add_row(kind, str(len(versions)), ", ".join(sorted(set(versions.values()))), _ids(list(versions)))
    return table


def _ids(ids: Sequence[str]) -> str:
    first = ids[0] if len(ids[0]) <= SHORT else f"{ids[0][:SHORT]}…"
    return first if len(ids) == 1 else f"{first} and {len(ids) - 1} more"

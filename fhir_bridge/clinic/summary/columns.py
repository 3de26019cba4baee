"""Sections cut to the lines there is room for: the longest gives way first, and says how much the text has more."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_bridge.clinic.summary.letters import PLAIN, wrapped


@dataclass(frozen=True, slots=True)
class Block:
    """A heading with its items, each in the lines it takes."""

    title: str
    items: tuple[tuple[str, ...], ...]

    def rows(self, room: int) -> list[str]:
        """At most `room` lines; the last one says how many items are not there, or not whole."""
        lines = [(line, index) for index, item in enumerate(self.items) for line in item]
        if len(lines) <= room:
            return [line for line, _ in lines]
        kept = lines[: room - 1]
        left = len(self.items) - (lines[room - 1][1] if room > 1 else 0)
        return [*(line for line, _ in kept), f"… and {left} more, see text" if len(self.items) > 1 else "… more in the text"]

    @property
    def length(self) -> int:
        """How many lines it takes whole, its title and the gap behind it included."""
        return 2 + sum(map(len, self.items))


def block(title: str, lines: Sequence[str], width: float, size: float) -> Block:
    """The section's paragraphs, wrapped; the lines after an item's first stand a little to the right."""
    items = (wrapped(line, width - 6, PLAIN, size) for line in lines)
    return Block(title, tuple((item[0], *(f"  {more}" for more in item[1:])) for item in items if item))


def moved(left: Sequence[int], right: Sequence[int], room: int) -> int:
    """How many of the last blocks of the right column go under the left one, so that the right one fits; lengths in lines."""
    count, below, beside = 0, sum(left), sum(right)
    while beside > room and count + 1 < len(right) and below + right[-1 - count] <= room:
        below, beside, count = below + right[-1 - count], beside - right[-1 - count], count + 1
    return count


def fitted(blocks: Sequence[Block], room: int) -> list[tuple[str, list[str]]]:
    """Titles with their lines, `room` lines in all with a title and a gap for each block; the longest are cut, then the last left out."""
    kept = blocks[: max(1, room // 3)]
    lengths = [sum(map(len, one.items)) for one in kept]
    spare = room - 2 * len(kept)
    while sum(lengths) > spare and max(lengths, default=0) > 1:
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        lengths[longest] -= 1
    return [(one.title, one.rows(length)) for one, length in zip(kept, lengths, strict=True)]

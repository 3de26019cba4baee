"""Where in a document: FHIRPath-like text (`Observation.component[0].code`), made only when somebody has to read it.

While walking, a place is a pair (place above, step), which costs next to nothing; the top is a text.
"""

from collections.abc import Iterable
from typing import TypeAlias

Place: TypeAlias = "str | tuple[Place, str | int]"


def rendered(place: Place) -> str:
    """The text of a place; the `_` of a primitive's sibling is not shown, since FHIRPath has none."""
    steps: list[str | int] = []
    while not isinstance(place, str):
        place, step = place
        steps.append(step)
    return joined(place, reversed(steps))


def joined(top: str, steps: Iterable[str | int]) -> str:
    """`top` and the steps below it as one text."""
    for step in steps:
        top = child(top, step)
    return top


def child(above: str, step: str | int) -> str:
    """One step further down; a step that JSON allows and FHIRPath doesn't is shown as `?`, since it may hold anything."""
    if isinstance(step, int):
        return f"{above}[{step}]"
    name = step.removeprefix("_")
    name = name if name.isidentifier() and len(name) <= 64 else "?"
    return f"{above}.{name}" if above else name

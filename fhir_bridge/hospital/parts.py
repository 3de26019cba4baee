"""A plan and its parts, as values: what we hold a link to, one write, one step, and what becomes of what is not sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verb = Literal[
    "put",  # PUT Type/<our id>: creates or updates, safe to repeat
    "create-if-none",  # POST with If-None-Exist on our identifier
    "put-if-one",  # PUT Type?identifier=
    "look-then-create",  # search first, POST when nothing is found
    "match",  # the hospital's own: search, adopt; never written
    "update",  # PUT Type/<their id> with If-Match
    "patch",  # JSON Patch on Type/<their id> with If-Match
    "delete",  # DELETE Type/<their id>
]


@dataclass(frozen=True, slots=True)
class Link:
    """What the hospital holds for one of our resources: its id, version, ETag, its last document seen, and what we last sent."""

    id: str
    version: str = ""
    etag: str = ""
    document: dict[str, Any] | None = None
    sent: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one identity. `key` is ours (`Observation/<uuid>`); `resource` still has our references and our id.

    `needs` are the keys whose hospital ids must be known, or be in the same transaction, when it is sent. `target` is the
    hospital's id for `update|patch|delete`. `read_first`: no ETag is known (or DELETE ignores it), so read the target and take its ETag.
    `ours` is the document as handed in: remember it as `Link.sent`.
    `left_out` are our elements that do not go; `notes` say what the hospital's small print changed.
    """

    key: str
    verb: Verb
    resource: dict[str, Any]
    reason: str
    needs: tuple[str, ...] = ()
    target: str = ""
    etag: str = ""
    patch: tuple[dict[str, Any], ...] = ()
    read_first: bool = False
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ours: dict[str, Any] = field(default_factory=dict)

    @property
    def look_first(self) -> bool:
        """Whether the hospital is searched before this write even when no earlier attempt is in doubt."""
        return self.verb in ("look-then-create", "match")


@dataclass(frozen=True, slots=True)
class Step:
    """One HTTP call: a `transaction` or `batch` Bundle of several writes, or a `single` write."""

    rung: Literal["transaction", "batch", "single"]
    writes: tuple[Write, ...]
    reason: str

    @property
    def keys(self) -> tuple[str, ...]:
        """Our keys, in the order of the entries."""
        return tuple(write.key for write in self.writes)


@dataclass(frozen=True, slots=True)
class Folded:
    """A resource the server does not take: its content goes into the text of the document `into`."""

    key: str
    into: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A resource that cannot reach this hospital by machine: what a person there has to do."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A resource that is sent later, without anybody's doing: the record has to reach a state first."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A resource the hospital already holds as we would send it."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every resource handed in is exactly once in `steps`, `folded`, `work`, `waiting` or `unchanged`.

    (In `steps` one key may stand in several steps where a vendor lets a status move only one step at a time.) `setup` is what
    the hospital must have set up first. A summary document made for what is folded is one write more.
    """

    steps: tuple[Step, ...] = ()
    folded: tuple[Folded, ...] = ()
    work: tuple[WorkItem, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unchanged: tuple[Unchanged, ...] = ()
    setup: tuple[str, ...] = ()
    hospital: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

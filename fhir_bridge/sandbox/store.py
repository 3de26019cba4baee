"""Resources with every version they ever had, in memory, and in a SQLite file when one is given.

One request at a time holds a `Draft`: it sees its own writes, and they become visible together or not at all. What is
committed is in the file before it is visible, so a server killed at any point restarts with what it has acknowledged.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clock import utc_now

Document = dict[str, Any]
Key = tuple[str, str]

FIRST_ID = 1000  # HAPI's first server-assigned ids look like this
_TABLE = """create table if not exists version
    (place integer primary key, type text, id text, number integer, method text, updated text, body blob)"""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one resource; `document` is None when this version is its deletion. `place` orders all commits."""

    type: str
    id: str
    number: int
    method: str
    updated: datetime
    document: Document | None
    place: int

    @property
    def path(self) -> str:
        """`Patient/1000`."""
        return f"{self.type}/{self.id}"

    @property
    def versioned(self) -> str:
        """`Patient/1000/_history/1`."""
        return f"{self.path}/_history/{self.number}"


class Store:
    """What the server holds; open a `draft()` to read or write it."""

    def __init__(self, file: Path | None = None, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.lock = threading.RLock()
        self.versions: dict[Key, list[Version]] = {}
        self.by_type: dict[str, dict[str, None]] = defaultdict(dict)
        self.by_identifier: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self.log: list[Version] = []
        self.next_id = FIRST_ID
        self.listeners: list[Callable[[Sequence[Version]], None]] = []  # told of what was committed, within the lock
        self._clock = clock
        self._file = sqlite3.connect(file, check_same_thread=False, isolation_level=None) if file else None
        if self._file:
            self._file.execute(_TABLE)
            self._publish(list(self._saved()))

    @contextmanager
    def draft(self) -> Iterator["Draft"]:
        """Holds the store; what was written is committed on leaving, and forgotten when an exception leaves."""
        with self.lock:
            draft = Draft(self, self._now())
            yield draft
            self._save(draft.written)
            self._publish(draft.written)
            for listener in self.listeners:
                listener(draft.written)

    def hold(self, resources: Iterable[Document]) -> None:
        """Puts resources (each with an id) in without asking anybody: what a hospital has before we come."""
        with self.draft() as draft:
            for resource in resources:
                draft.write(resource["resourceType"], resource["id"], document=resource, method="PUT")

    def restore(self, place: int) -> None:
        """The hospital restores a backup: what was committed after `place` was never there, and its version numbers come again."""
        with self.lock:
            kept = [version for version in self.log if version.place <= place]
            self.versions, self.log = {}, []
            self.by_type, self.by_identifier = defaultdict(dict), defaultdict(dict)
            self._publish(kept)
            if self._file:
                self._file.execute("delete from version where place > ?", (place,))

    def close(self) -> None:
        """Lets go of the file."""
        if self._file:
            self._file.close()

    def _now(self) -> datetime:
        now = self._clock()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return max(now, self.log[-1].updated) if self.log else now

    def _publish(self, written: list[Version]) -> None:
        for version in written:
            self.versions.setdefault((version.type, version.id), []).append(version)
            self.by_type[version.type][version.id] = None
            for value in identifier_values(version.document):
                self.by_identifier[version.type, value][version.id] = None
            if version.id.isdigit():
                self.next_id = max(self.next_id, int(version.id) + 1)
            self.log.append(version)

    def _save(self, written: list[Version]) -> None:
        if not (self._file and written):
            return
        rows = [
            (v.place, v.type, v.id, v.number, v.method, v.updated.isoformat(), v.document and documents.dumps(v.document)) for v in written
        ]
        with closing(self._file.cursor()) as cursor:
            cursor.execute("begin immediate")
            cursor.executemany("insert into version values (?, ?, ?, ?, ?, ?, ?)", rows)
            cursor.execute("commit")

    def _saved(self) -> Iterator[Version]:
        assert self._file  # noqa: S101 - only called with a file
        for place, kind, identity, number, method, updated, body in self._file.execute("select * from version order by place"):
            document = documents.loads(body) if body else None
            yield Version(kind, identity, number, method, datetime.fromisoformat(updated), document, place)


@dataclass
class Draft:
    """The store as one request sees it, its own writes included; `now` is the time of everything it writes."""

    store: Store
    now: datetime
    written: list[Version] = field(default_factory=list)
    _staged: dict[Key, list[Version]] = field(default_factory=dict)
    _ids: int = 0

    def versions(self, kind: str, identity: str) -> list[Version]:
        """Every version, oldest first; empty when there never was one."""
        return self.store.versions.get((kind, identity), []) + self._staged.get((kind, identity), [])

    def current(self, kind: str, identity: str) -> Version | None:
        """The newest version, which may be a deletion."""
        found = self.versions(kind, identity)
        return found[-1] if found else None

    def every(self, kind: str, identifier: str | None = None) -> Iterator[Version]:
        """The current version of what exists of a type, in order of creation; narrowed to those that ever had an identifier value."""
        known = self.store.by_type[kind] if identifier is None else self.store.by_identifier.get((kind, identifier), {})
        staged = {key[1]: None for key in self._staged if key[0] == kind}
        for identity in {**known, **staged}:
            found = self.current(kind, identity)
            if found and found.document is not None:
                yield found

    def log(self) -> Iterator[Version]:
        """Every version of everything, newest first."""
        yield from reversed(self.written)
        yield from reversed(self.store.log)

    def new_id(self) -> str:
        """The next id this server assigns."""
        self._ids += 1
        return str(self.store.next_id + self._ids - 1)

    def write(self, kind: str, identity: str, *, document: Document | None, method: str) -> Version:
        """Adds a version (a deletion, without `document`) and stamps its meta."""
        number = len(self.versions(kind, identity)) + 1
        place = len(self.store.log) + len(self.written) + 1
        if document is not None:
            meta = document.get("meta", {}) | {"versionId": str(number), "lastUpdated": instant(self.now)}
            document = {"resourceType": kind, "id": identity, "meta": meta} | {k: v for k, v in document.items() if k not in _STAMPED}
        version = Version(kind, identity, number, method, self.now, document, place)
        self._staged.setdefault((kind, identity), []).append(version)
        self.written.append(version)
        return version


_STAMPED = ("resourceType", "id", "meta")


def instant(time: datetime) -> str:
    """A time as HAPI writes it: `2026-03-02T14:00:00.123+00:00`."""
    return time.isoformat(timespec="milliseconds")


def identifier_values(document: Document | None) -> Iterator[str]:
    """The values of `identifier`, which is a list or, on a few types, one object."""
    found = (document or {}).get("identifier", [])
    for identifier in found if isinstance(found, list) else [found]:
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            yield identifier["value"]

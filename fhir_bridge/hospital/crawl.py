"""All pages of a search or a history, one after the other; the next ones may be on their way while one is worked on.

It ends by itself: at a page without a next link (an empty last page is one), or with a `Trouble`: an address that came before, the
same content three times, 10 000 pages, the deadline. What is then to be done is the caller's.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain

from fhir_bridge.hospital import pages
from fhir_bridge.hospital.client import Call, Client
from fhir_bridge.hospital.pages import Page, Trouble

MAX_PAGES = 10_000
_SAME_CONTENT = 3
_AHEAD = 2  # pages: the hospital need not wait for one that takes longer than the others
_GONE = (404, 410)


@dataclass
class Crawl:
    """The pages of `type` from `first` on. `onward` says that `first` is itself a next link, kept from an earlier crawl; `bases` are
    other addresses by which the server may name itself (`pages.read`). `ahead` asks for pages while one before is worked on;
    without it nothing is asked for that nobody wants to see.

    `until` is when to stop, on the clock `monotonic` (seconds). `shrunk` says, when it ended, whether the server's total went down
    meanwhile: something moved up a page and may have been passed by.
    """

    client: Client
    first: Call
    type: str
    until: float
    onward: bool = False
    ahead: bool = True
    bases: Iterable[str] = ()
    max_pages: int = MAX_PAGES
    monotonic: Callable[[], float] = time.monotonic
    shrunk: bool = False
    _asked: set[str] = field(default_factory=set)
    _total: int | None = None
    _marks: tuple[tuple[str, str], ...] = ()
    _same: int = 0

    def __iter__(self) -> Iterator[Page | Trouble]:
        """Each page; the last item is a page without `next`, or the trouble. One page alone needs no second connection."""
        walk = self._walk()
        first = next(walk)
        yield from _ahead(first, walk) if self.ahead and isinstance(first, Page) and first.next else chain([first], walk)

    def _walk(self) -> Iterator[Page | Trouble]:
        found = self._looked_at(self._read(self.first, self.onward))
        while isinstance(found, Page) and found.next is not None:
            yield found
            found = self._stop(found.next) or self._looked_at(self._read(pages.onward(found.next), True))
        yield found

    def _read(self, call: Call, onward: bool) -> Page | Trouble:
        found = pages.read(self.client, call, type=self.type, bases=self.bases)
        if onward and isinstance(found, Trouble) and found.status in _GONE:
            return replace(found, kind="expired", words="a page is gone: the search behind it expired")
        return found

    def _looked_at(self, found: Page | Trouble) -> Page | Trouble:
        if isinstance(found, Trouble):
            return found
        self._same = self._same + 1 if found.shown and found.marks == self._marks else 1
        self._marks = found.marks
        if self._same >= _SAME_CONTENT:
            return Trouble("repeated", f"{_SAME_CONTENT} pages running show the same", 200)
        if found.total is not None:
            self.shrunk = self.shrunk or (self._total is not None and found.total < self._total)
            self._total = found.total
        return found

    def _stop(self, path: str) -> Trouble | None:
        if path in self._asked:
            return Trouble("repeated", "a next link leads to a page that was read before", 200)
        self._asked.add(path)
        if len(self._asked) >= self.max_pages:
            return Trouble("too-many", f"more than {self.max_pages} pages", 200)
        if self.monotonic() > self.until:
            return Trouble("deadline", "the time for this pull is over", 200)
        return None


def _ahead(first: Page | Trouble, walk: Iterator[Page | Trouble]) -> Iterator[Page | Trouble]:
    """`first`, and what `walk` finds behind it: it walks in a thread of its own, `_AHEAD` pages before who is asking."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="pages")
    try:
        coming = deque(thread.submit(next, walk, None) for _ in range(_AHEAD))
        found: Page | Trouble | None = first
        while found is not None:
            yield found
            found = coming.popleft().result()
            coming.append(thread.submit(next, walk, None))
    finally:
        thread.shutdown(cancel_futures=True)

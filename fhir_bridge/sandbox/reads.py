"""The reads: read, vread, search, history and their pages, with HAPI 8.8's links, statuses and texts."""

import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fhir_bridge.sandbox import dates, search
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.profile import Hospital
from fhir_bridge.sandbox.store import Document, Draft, Version, instant
from fhir_bridge.sandbox.writes import gone

_KEPT_SEARCHES = 1000
_KNOWN_AT_ONCE = 12  # HAPI looks that far ahead at first; of longer results it does not tell the total
Query = list[tuple[str, str]]


@dataclass
class Pages:
    """Search results kept for their next links; a search too long ago, or never made, is gone (410)."""

    _found: "OrderedDict[str, list[Version]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, found: list[Version]) -> str:
        """Keeps a result and names it."""
        name = str(uuid.uuid4())
        with self._lock:
            self._found[name] = found
            while len(self._found) > _KEPT_SEARCHES:
                self._found.popitem(last=False)
        return name

    def get(self, name: str) -> list[Version]:
        """The result kept under a name."""
        if (found := self._found.get(name)) is None:
            raise Rejected(410, f'HAPI-0417: Search ID "{name}" does not exist and may have expired', "processing")
        return found

    def forget(self) -> None:
        """Lets every result expire."""
        with self._lock:
            self._found.clear()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one draft for one request; `base` is the address the client used, `http://host:port/fhir`."""

    draft: Draft
    hospital: Hospital
    pages: Pages
    base: str

    def read(self, kind: str, identity: str) -> Version:
        """The current version; 404 when there never was one or it is not visible yet, 410 when it was deleted."""
        self.hospital.require_advertised(kind, "read")
        current = self.draft.current(kind, identity)
        if current is None or not self.hospital.visible(current, self.draft.now):
            raise Rejected(404, f"HAPI-2001: Resource {kind}/{identity} is not known", "processing")
        if current.document is None:
            raise gone(current)
        return current

    def version(self, kind: str, identity: str, number: str) -> Version:
        """One version of many."""
        self.hospital.require_advertised(kind, "vread")
        for version in self.draft.versions(kind, identity):
            if str(version.number) == number:
                if version.document is None:
                    raise gone(version)
                return version
        raise Rejected(404, f'HAPI-0979: Version "{number}" is not valid for resource {kind}/{identity}', "processing")

    def search(self, kind: str, query: Query) -> Document:
        """The first page of a search."""
        self.hospital.require_advertised(kind, "search-type")
        names = {name.partition(":")[0].partition(".")[0] for name, _ in query}
        wanted = search.criteria(kind, query, allowed=self.hospital.search_parameters(kind))
        self.hospital.require_searchable(kind, names)
        found = [version for version in search.find(self.draft, kind, wanted) if self.hospital.visible(version, self.draft.now)]
        if self.hospital.behaviour.newest_first:
            found = search.ordered(found, "-_lastUpdated")
        options = dict(query)
        found = search.ordered(found, options.get("_sort", ""))
        count, accurate = self._count(options), options.get("_total") == "accurate"
        if options.get("_summary") == "count" or options.get("_count") == "0":
            return self._bundle("searchset", [], total=len(found))
        name = self.pages.keep(found) if len(found) > count else ""
        bundle = self._page(found, name, 0, count=count)
        if len(found) <= max(count, _KNOWN_AT_ONCE) or accurate:
            bundle["total"] = len(found)
        return self._linked(bundle, f"{self.base}/{kind}?{urlencode(query)}")

    def page(self, name: str, offset: str, *, count: str) -> Document:
        """A later page of a search, as its next link names it."""
        found, start, size = self.pages.get(name), int(offset or 0), self._count({"_count": count})
        bundle = self._page(found, name, start, count=size)
        if len(found) <= max(size, _KNOWN_AT_ONCE):
            bundle["total"] = len(found)
        return self._linked(bundle, self._page_link(name, start, size))

    def history(self, kind: str | None, identity: str | None, query: Query) -> Document:
        """Versions newest first: of one resource, one type, or all; `_since` includes its instant."""
        found = self._versions(kind, identity)
        options = dict(query)
        since = self._since(options.get("_since"))
        if since:
            found = [version for version in found if version.updated >= since]
        count, offset = self._count(options), int(options.get("_offset", 0))
        page = found[offset : offset + count]
        bundle = self._bundle("history", [self._history_entry(version) for version in page])
        place = "/".join(part for part in (self.base, kind, identity, "_history") if part)
        kept = {name: value for name, value in options.items() if name not in ("_offset", "_count")}
        if not since:
            bundle["total"] = len(found)
        bundle["link"] = [{"relation": "self", "url": f"{place}?{urlencode(query)}" if query else place}]
        if offset + count < len(found) or (since and len(page) == count):
            link = {"_count": count, "_offset": offset + count} | kept
            bundle["link"].append({"relation": "next", "url": f"{place}?{urlencode(link)}"})
        return bundle

    def _versions(self, kind: str | None, identity: str | None) -> list[Version]:
        if kind is None:
            self.hospital.require_system("history-system")
            return list(self.draft.log())
        if identity is None:
            self.hospital.require_advertised(kind, "history-type")
            return [version for version in self.draft.log() if version.type == kind]
        self.hospital.require_advertised(kind, "history-instance")
        if not (found := self.draft.versions(kind, identity)):
            raise Rejected(404, f"HAPI-2001: Resource {kind}/{identity} is not known", "processing")
        return found[::-1]

    def _since(self, text: str | None) -> datetime | None:
        if not text:
            return None
        if not (span := dates.parse(text)):
            raise Rejected(400, f'HAPI-1940: Invalid date/time format: "{text}"', "invalid")
        return span.low

    def _count(self, options: dict[str, str]) -> int:
        text = options.get("_count", "")
        if text and not text.lstrip("-").isdigit():
            raise Rejected(400, f'HAPI-0334: Invalid _count "{text}"', "invalid")
        wanted = int(text) if text else 0
        behaviour = self.hospital.behaviour
        return min(wanted, behaviour.maximum_count) if wanted > 0 else behaviour.default_count

    def _page(self, found: list[Version], name: str, offset: int, *, count: int) -> Document:
        page = found[offset : offset + count]
        entries = [{"fullUrl": f"{self.base}/{v.path}", "resource": v.document, "search": {"mode": "match"}} for v in page]
        bundle = self._bundle("searchset", entries)
        links = []
        if offset + count < len(found):
            links.append({"relation": "next", "url": self._page_link(name, offset + count, count)})
        if offset:
            links.append({"relation": "previous", "url": self._page_link(name, max(0, offset - count), count)})
        return bundle | {"link": links}

    def _page_link(self, name: str, offset: int, count: int) -> str:
        return f"{self.base}?_getpages={name}&_getpagesoffset={offset}&_count={count}&_bundletype=searchset"

    def _linked(self, bundle: Document, address: str) -> Document:
        return bundle | {"link": [{"relation": "self", "url": address}, *bundle.get("link", [])]}

    def _bundle(self, kind: str, entries: list[dict[str, Any]], *, total: int | None = None) -> Document:
        bundle: Document = {
            "resourceType": "Bundle",
            "id": str(uuid.uuid4()),
            "meta": {"lastUpdated": instant(self.draft.now)},
            "type": kind,
        }
        if total is not None:
            bundle["total"] = total
        if entries:
            bundle["entry"] = entries
        return bundle

    def _history_entry(self, version: Version) -> dict[str, Any]:
        status = "201 Created" if version.number == 1 else "200 OK"
        method = "DELETE" if version.document is None else "POST" if version.number == 1 else "PUT"
        entry: dict[str, Any] = {"fullUrl": f"{self.base}/{version.path}"}
        if version.document is not None:
            entry["resource"] = version.document
        entry["request"] = {"method": method, "url": version.versioned}
        entry["response"] = {"status": status, "etag": f'W/"{version.number}"'}
        return entry

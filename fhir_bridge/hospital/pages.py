"""One page of a search or a history, read and judged: what it shows and where it goes on, or what is wrong with it, as a value.

A next link is followed only to the hospital's own scheme, host and port, below its base address (`Client.path_of`): a token goes
with every page. Everything a server may get wrong here is a stated case of `Trouble`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal

from fhir_bridge.fhir import bundle, times
from fhir_bridge.hospital.client import Call, Client, NoReply, Reply
from fhir_bridge.hospital.seen import Seen, of_resource

FRESH = {"Cache-Control": "no-cache"}  # HAPI answers a repeated search from its cache for a minute otherwise
_ETAG = re.compile(r'(?:W/)?"?([A-Za-z0-9.-]{1,64})"?')
_PASSING = (408, 425, 429)

Kind = Literal["no-answer", "refused", "expired", "broken", "outside", "repeated", "too-many", "deadline"]


@dataclass(frozen=True, slots=True)
class Page:
    """What one page shows, in the server's order. `next` is the path below the base address of the page behind it, None at the end.

    `clock` is the server's time when it made the page, `total` what it says of all pages together; None where it does not say.
    `other` counts entries that are neither a resource of the type asked for nor its deletion.
    """

    shown: tuple[Seen, ...]
    next: str | None
    clock: datetime | None
    total: int | None = None
    other: int = 0

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """What tells this page from another: id and version of everything it shows."""
        return tuple((one.id, one.version or one.last_updated) for one in self.shown)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no page. `expired`: the search behind a next link is gone, begin again. `status` is 0 without an answer.

    `broken`: half an answer, another document, an error within the Bundle. `outside`: a next link that leaves the base address.
    """

    kind: Kind
    words: str
    status: int = 0


def read(client: Client, call: Call, *, type: str, bases: Iterable[str] = ()) -> Page | Trouble:
    """Ask for a page of `type`; a read may be repeated, so an answer that was cut off is asked for once more. Never raises.

    `bases` are other base addresses by which the server may name itself in a next link: its path is asked for at ours.
    """
    found = _judged(client, client.send(call), type, bases)
    if isinstance(found, Trouble) and found.kind in ("broken", "no-answer") and found.status in (0, 200):
        return _judged(client, client.send(call), type, bases)
    return found


def onward(path: str) -> Call:
    """The request of a next link."""
    return Call("GET", path, headers=FRESH)


def _judged(client: Client, reply: Reply | NoReply, type: str, bases: Iterable[str]) -> Page | Trouble:
    if isinstance(reply, NoReply):
        return Trouble("no-answer", reply.cause)
    if reply.status != 200:
        return _refused(reply.status)
    if reply.resource_type != "Bundle" or reply.body.get("type") not in ("searchset", "history"):
        return Trouble("broken", "the answer is no whole Bundle of a search or a history", 200)
    entries = reply.body.get("entry", [])
    if not isinstance(entries, list) or any(_is_error(entry) for entry in entries):
        return Trouble("broken", "the Bundle holds an error instead of what was asked for", 200)
    following = bundle.next_link(reply.body)
    path = _path(client, following, bases) if following else None
    if following and path is None:
        return Trouble("outside", "a next link leaves the hospital's base address, or its port cannot be read", 200)
    return _page(reply, entries, path, type)


def _path(client: Client, following: str, bases: Iterable[str]) -> str | None:
    below = (each.path_of(following) for each in (client, *map(Client, bases)))
    return next((path for path in below if path is not None), None)


def _page(reply: Reply, entries: list[Any], following: str | None, type: str) -> Page:
    shown = tuple(found for entry in entries if (found := _seen(entry, type)) is not None)
    total = reply.body.get("total")
    return Page(shown, following, clock_of(reply), total if isinstance(total, int) else None, len(entries) - len(shown))


def clock_of(reply: Reply) -> datetime | None:
    """The server's time: of the Bundle it made, else of its answer (RFC 9110, 6.6.1); None when it tells neither."""
    meta = reply.body.get("meta") if isinstance(reply.body, dict) else None
    said = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return moment(said) or _date(reply.header("date"))


def moment(text: object) -> datetime | None:
    """An instant, None for anything else."""
    return _instant(text) if isinstance(text, str) and text else None


@lru_cache(maxsize=1024)  # each is asked for several times while its page is worked on
def _instant(text: str) -> datetime | None:
    try:
        return times.instant(text)
    except ValueError:
        return None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else None


def _refused(status: int) -> Trouble:
    if status >= 500 or status in _PASSING:
        return Trouble("no-answer", f"the hospital answered {status}", status)
    return Trouble("refused", f"the hospital refused with {status}", status)


def _is_error(entry: object) -> bool:
    """An OperationOutcome that says what went wrong; what it only remarks (R4 search.html#errors) is left aside."""
    outcome = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return False
    issues: Iterable[Any] = outcome.get("issue") or ()
    return any(isinstance(issue, dict) and issue.get("severity") in ("error", "fatal") for issue in issues)


def _seen(entry: object, type: str) -> Seen | None:
    if not isinstance(entry, dict):
        return None
    resource = entry.get("resource")
    if isinstance(resource, dict):
        ours = resource.get("resourceType") == type and isinstance(resource.get("id"), str)
        return of_resource(resource) if ours else None
    return _deletion(entry, type)


def _deletion(entry: dict[str, Any], type: str) -> Seen | None:
    """HAPI names a deletion by `request.url` (`Type/id/_history/2`) and its version also by the etag; it gives no time."""
    request, response = _object(entry, "request"), _object(entry, "response")
    if request.get("method") != "DELETE":
        return None
    parts = str(request.get("url", "")).split("?")[0].split("/")
    if type not in parts or len(parts) < parts.index(type) + 2:
        return None
    _, id, *rest = parts[parts.index(type) :]
    tag = _ETAG.fullmatch(str(response.get("etag", "")))
    version = tag.group(1) if tag else rest[1] if rest[:1] == ["_history"] and len(rest) > 1 else ""
    return Seen(type, id, version, str(response.get("lastModified", "")), None)


def _object(node: dict[str, Any], name: str) -> dict[str, Any]:
    found = node.get(name)
    return found if isinstance(found, dict) else {}

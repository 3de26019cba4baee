"""Pages as servers really send them: what is followed, what is taken, and what every fault of paging comes to."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fhir_bridge import documents
from fhir_bridge.hospital import pages
from fhir_bridge.hospital.client import Client, Deadlines
from fhir_bridge.hospital.crawl import Crawl
from fhir_bridge.hospital.pages import Page, Trouble
from fhir_bridge.sandbox.running import running

FIRST = "Task/_history?_since=2026-03-02T14:00:00Z"


@dataclass
class Scripted:
    """A server that answers each address with what it was given; `asked` are the addresses in order."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    base: str = ""

    def page(self, path: str, *entries: dict[str, Any], following: str = "", status: int = 200, **more: Any) -> None:
        link = [{"relation": "next", "url": following}] if following else []
        body = {"resourceType": "Bundle", "type": "history", "link": link, "entry": list(entries)} | more
        self.answers[path] = (status, documents.dumps(body))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query = environ["QUERY_STRING"]
        path = environ["PATH_INFO"].removeprefix("/fhir").lstrip("/") + (f"?{query}" if query else "")
        self.asked.append(path)
        status, body = self.answers.get(path, (404, b"{}"))
        start_response(f"{status} Said", [("Content-Type", "application/fhir+json"), ("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def server() -> Iterator[Scripted]:
    found = Scripted()
    with running(found) as address:
        found.base = address.base_url
        yield found


def task(id: str, version: str = "1") -> dict[str, Any]:
    return {"resource": {"resourceType": "Task", "id": id, "meta": {"versionId": version}}}


def crawl(server: Scripted, **options: Any) -> list[Page | Trouble]:
    client = Client(server.base, deadlines=Deadlines(2, 2, 2))
    return list(Crawl(client, pages.onward(FIRST), "Task", until=options.pop("until", time.monotonic() + 60), **options))


def ids(found: Iterable[Page | Trouble]) -> list[str]:
    return [one.id for page in found if isinstance(page, Page) for one in page.shown]


def end(found: list[Page | Trouble]) -> str:
    last = found[-1]
    return last.kind if isinstance(last, Trouble) else "end"


@pytest.mark.parametrize("spelling", ["{base}/?page=2", "?page=2", "{base}?page=2", "Task/_history?page=2", "../fhir?page=2"])
def test_a_next_link_below_the_base_is_followed_however_it_is_spelt(server: Scripted, spelling: str) -> None:
    server.page(FIRST, task("a"), following=spelling.format(base=server.base))
    server.page("?page=2", task("b"))
    server.page("Task/_history?page=2", task("b"))
    found = crawl(server)
    assert (ids(found), end(found)) == (["a", "b"], "end")


@pytest.mark.parametrize(
    "leaving",
    [
        "https://elsewhere.example/fhir?page=2",
        "http://127.0.0.1:1/fhir?page=2",
        "http://127.0.0.1/fhir?page=2",
        "http://127.0.0.1:443:443/fhir?page=2",
        "//elsewhere.example/fhir?page=2",
        "{base}.elsewhere.example/?page=2",
        "{base}@elsewhere.example/?page=2",
        "/other?page=2",
        "../other?page=2",
        "file:///etc/hosts",
    ],
)
def test_a_next_link_that_leaves_the_base_is_not_followed(server: Scripted, leaving: str) -> None:
    server.page(FIRST, task("a"), following=leaving.format(base=server.base))
    found = crawl(server)
    assert (ids(found), end(found)) == ([], "outside")
    assert server.asked == [FIRST]


def test_a_server_behind_a_proxy_may_be_known_by_another_name_and_is_called_by_its_own(server: Scripted) -> None:
    server.page(FIRST, task("a"), following="http://fhir.inside.example:8080/r4?page=2")
    server.page("?page=2", task("b"), following="http://fhir.inside.example:8080/admin?page=3")
    found = crawl(server, bases=("http://fhir.inside.example:8080/r4",))
    assert (ids(found), end(found)) == (["a"], "outside")
    assert server.asked == [FIRST, "?page=2"]


def test_an_empty_last_page_is_the_end(server: Scripted) -> None:
    server.page(FIRST, task("a"), following="?page=2")
    server.answers["?page=2"] = (200, b'{"resourceType": "Bundle", "type": "history"}')
    assert end(crawl(server)) == "end"


def test_a_page_that_was_read_before_ends_the_crawl(server: Scripted) -> None:
    server.page(FIRST, task("a"), following="?page=2")
    server.page("?page=2", task("b"), following="?page=2")
    found = crawl(server)
    assert (ids(found), end(found)) == (["a", "b"], "repeated")


def test_the_same_content_again_and_again_ends_the_crawl(server: Scripted) -> None:
    server.page(FIRST, task("a"), following="?page=1")
    for number in range(1, 9):
        server.page(f"?page={number}", task("a"), following=f"?page={number + 1}")
    found = crawl(server)
    assert (len(found), end(found)) == (3, "repeated")


def test_too_many_pages_and_too_much_time_end_the_crawl(server: Scripted) -> None:
    server.page(FIRST, task("0"), following="?page=1")
    for number in range(1, 9):
        server.page(f"?page={number}", task(str(number)), following=f"?page={number + 1}")
    assert end(crawl(server, max_pages=4)) == "too-many"
    found = crawl(server, until=time.monotonic() - 1)
    assert (ids(found), end(found)) == (["0"], "deadline")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"resourceType": "Bundle", "type": "history", "entry": [{"resour', "broken"),
        (b"<html>please sign in</html>", "broken"),
        (b'{"resourceType": "OperationOutcome", "issue": []}', "broken"),
        (b'{"resourceType": "Bundle", "type": "history", "entry": 3}', "broken"),
        (
            b'{"resourceType": "Bundle", "type": "searchset", "entry": [{"resource":'
            b' {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}}]}',
            "broken",
        ),
        (
            b'{"resourceType": "Bundle", "type": "searchset", "entry": [{"resource":'
            b' {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]}}]}',
            "end",
        ),
    ],
    ids=["cut off", "a page for people", "an outcome", "no list", "an error inside", "a remark inside"],
)
def test_what_is_no_whole_page_is_asked_for_once_more_and_then_is_trouble(server: Scripted, body: bytes, kind: str) -> None:
    server.answers[FIRST] = (200, body)
    assert end(crawl(server)) == kind
    assert len(server.asked) == (1 if kind == "end" else 2)


@pytest.mark.parametrize(
    ("status", "first", "later"), [(404, "refused", "expired"), (410, "refused", "expired"), (503, "no-answer", "no-answer")]
)
def test_a_status_means_another_thing_behind_a_next_link(server: Scripted, status: int, first: str, later: str) -> None:
    server.answers[FIRST] = (status, b"{}")
    assert end(crawl(server)) == first
    server.page(FIRST, task("a"), following="?page=2")
    server.answers["?page=2"] = (status, b"{}")
    assert end(crawl(server)) == later


def test_a_deletion_is_told_by_its_request_whatever_the_server_leaves_out(server: Scripted) -> None:
    request = {"method": "DELETE", "url": "Task/a/_history/3"}
    bare = {"method": "DELETE", "url": f"{server.base}/Task/b"}
    late = {"response": {"lastModified": "2026-03-02T14:00:00Z", "etag": 'W/"7"'}}
    other = {"request": {"method": "DELETE", "url": "Patient/p"}}
    server.page(FIRST, {"request": request}, {"request": bare} | late, other, task("c"))
    [page] = crawl(server)
    assert isinstance(page, Page)
    told = [(one.id, one.version, one.last_updated, one.resource is None) for one in page.shown]
    assert told == [("a", "3", "", True), ("b", "7", "2026-03-02T14:00:00Z", True), ("c", "1", "", False)]
    assert page.other == 1


def test_the_servers_time_is_its_bundles_else_its_answers(server: Scripted) -> None:
    server.page(FIRST, meta={"lastUpdated": "2026-03-02T09:00:00.250-05:00"})
    [page] = crawl(server)
    assert isinstance(page, Page) and page.clock is not None
    assert page.clock.isoformat() == "2026-03-02T14:00:00.250000+00:00"
    server.page(FIRST)
    [page] = crawl(server)
    assert isinstance(page, Page) and page.clock is not None  # the Date of the answer
    assert page.clock.microsecond == 0


def test_a_total_that_goes_down_is_remembered(server: Scripted) -> None:
    server.page(FIRST, task("a"), following="?page=2", total=2)
    server.page("?page=2", task("b"), total=1)
    client = Client(server.base)
    found = Crawl(client, pages.onward(FIRST), "Task", until=time.monotonic() + 60)
    assert len(list(found)) == 2
    assert found.shrunk


@pytest.mark.parametrize(("ahead", "asked"), [(True, 2), (False, 1)])
def test_who_looks_at_one_page_need_not_ask_for_the_one_behind_it(server: Scripted, ahead: bool, asked: int) -> None:
    server.page(FIRST, task("a"), following="?page=2")
    server.page("?page=2", task("b"))
    walk = iter(Crawl(Client(server.base), pages.onward(FIRST), "Task", until=time.monotonic() + 60, ahead=ahead))
    assert ids([next(walk)]) == ["a"]
    walk.close()  # what is on its way is waited for
    assert len(server.asked) == asked
    assert ids(crawl(server, ahead=ahead)) == ["a", "b"]

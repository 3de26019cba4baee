"""The client against a real socket server on loopback: what it sends, what it refuses to do, and when it gives up."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import requests
import responses

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.client import Call, Client, Deadlines, NoReply, Reply

PATIENT = b'{"resourceType":"Patient","id":"7"}'
QUICK = Deadlines(connect=1, read=1, total=1.2)


def answer(body: bytes, status: str = "200 OK", kind: str = "application/fhir+json", *more: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more])
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def hospital(*pieces: bytes, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads each request whole and answers with `pieces`, `pause` seconds apart."""
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    seen: list[bytes] = []

    def serve() -> None:
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    def talk(peer: socket.socket) -> None:
        with peer:
            while request := read_request(peer):
                seen.append(request)
                for piece in pieces:
                    try:
                        peer.sendall(piece)
                    except OSError:
                        return
                    if stop.wait(pause):
                        return
                if not pieces:
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir", seen
    finally:
        stop.set()
        listener.close()


def read_request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length:
        body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def send(url: str, call: Call | None = None, **options: object) -> Reply | NoReply:
    return Client(url, deadlines=QUICK, **options).send(call or Call("GET", "Patient/7"))  # type: ignore[arg-type]


def test_a_read_gives_status_headers_and_document() -> None:
    with hospital(answer(PATIENT, "200 OK", "application/fhir+json", 'ETag: W/"3"')) as (url, seen):
        reply = Client(url).send(Call("GET", "Patient/7"), request_id="r-1")
    assert isinstance(reply, Reply)
    assert (reply.status, reply.header("ETag"), reply.body["id"], reply.raw_size) == (200, 'W/"3"', "7", len(PATIENT))
    assert seen[0].startswith(b"GET /fhir/Patient/7 HTTP/1.1")
    assert b"X-Request-ID: r-1" in seen[0]
    assert b"Accept: application/fhir+json" in seen[0]


def test_a_write_carries_the_document_with_its_digits() -> None:
    with hospital(answer(b"", "201 Created")) as (url, seen):
        send(url, Call("PUT", "Observation/1", {"valueQuantity": {"value": Decimal("36.80")}}, {"If-Match": 'W/"1"'}))
    assert seen[0].endswith(b'{"valueQuantity":{"value":36.80}}')
    assert b"Content-Type: application/fhir+json" in seen[0]
    assert b'If-Match: W/"1"' in seen[0]


def test_a_search_by_form_keeps_identifiers_out_of_the_address() -> None:
    with hospital(answer(b'{"resourceType":"Bundle"}')) as (url, seen):
        send(url, Call("POST", "Patient/_search", form=(("identifier", "urn:x|A 1"),)))
    assert seen[0].startswith(b"POST /fhir/Patient/_search HTTP")
    assert seen[0].endswith(b"identifier=urn%3Ax%7CA+1")


def test_the_connection_is_used_again() -> None:
    with hospital(answer(PATIENT)) as (url, seen):
        client = Client(url)
        ports = {client.send(Call("GET", "Patient/7")).status for _ in range(3)}  # type: ignore[union-attr]
        assert ports == {200}
        assert len(client._session().adapters["http://"].poolmanager.pools) == 1  # type: ignore[attr-defined]
    assert len(seen) == 3


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_redirect_is_never_followed(method: str) -> None:
    with (
        hospital(answer(PATIENT)) as (other, stranger),
        hospital(answer(b"", "307 Temporary Redirect", "text/html", f"Location: {other}/Patient/7")) as (url, _),
    ):
        reply = send(url, Call(method, "Patient/7", {"resourceType": "Patient"} if method in ("POST", "PUT") else None))
    assert isinstance(reply, Reply)
    assert reply.status == 307
    assert stranger == []


@pytest.mark.parametrize("also", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
def test_a_body_that_drips_is_cut_at_the_total_deadline(also: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n" + also + b"Content-Length: 500\r\n\r\n"
    with hospital(head, *[b"{"] * 400, pause=0.3) as (url, _):
        begun = time.monotonic()
        reply = send(url)
    assert isinstance(reply, NoReply)
    assert reply.sent
    assert time.monotonic() - begun < 2.5


def test_headers_that_drip_are_cut_at_the_total_deadline() -> None:
    with hospital(*[b"H", b"T", b"T", b"P", *[b"/"] * 400], pause=0.3) as (url, _):
        begun = time.monotonic()
        reply = send(url, Call("POST", "Patient", {"resourceType": "Patient"}))
    assert reply == NoReply(sent=True, cause="no whole reply within the deadline")
    assert time.monotonic() - begun < 2.5


def test_silence_after_the_request_is_an_unknown_outcome() -> None:
    with hospital(b"", pause=5) as (url, _):
        reply = send(url, Call("POST", "Patient", {"resourceType": "Patient"}))
    assert isinstance(reply, NoReply)
    assert reply.sent


def test_a_connection_closed_without_an_answer_is_an_unknown_outcome() -> None:
    with hospital() as (url, seen):
        reply = send(url, Call("POST", "Patient", {"resourceType": "Patient"}))
    assert isinstance(reply, NoReply)
    assert reply.sent
    assert len(seen) == 1  # and it was not tried again behind our back


def test_a_truncated_reply_is_an_unknown_outcome() -> None:
    with hospital(answer(PATIENT)[:-10], pause=0.1) as (url, _):
        reply = Client(url, deadlines=Deadlines(1, 0.4, 2)).send(Call("PUT", "Patient/7", {"resourceType": "Patient"}))
    assert isinstance(reply, NoReply)
    assert reply.sent


def test_a_refused_connection_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    reply = send(f"http://127.0.0.1:{port}/fhir", Call("POST", "Patient", {"resourceType": "Patient"}))
    assert reply == NoReply(sent=False, cause="the hospital did not accept the connection")


def test_an_unknown_host_means_nothing_was_sent() -> None:
    reply = send("http://hospital.invalid/fhir", Call("DELETE", "Patient/1"))
    assert isinstance(reply, NoReply)
    assert not reply.sent


def test_a_failed_tls_handshake_means_nothing_was_sent() -> None:
    with hospital(answer(PATIENT)) as (url, _):  # speaks no TLS
        reply = send(url.replace("http:", "https:"), Call("POST", "Patient", {"resourceType": "Patient"}))
    assert isinstance(reply, NoReply)
    assert not reply.sent


def test_a_reply_larger_than_the_limit_is_not_read_to_its_end() -> None:
    with hospital(answer(b" " * 5000)) as (url, _):
        reply = send(url, max_reply_bytes=1000)
    assert reply == NoReply(sent=True, cause="the reply is larger than 1000 bytes")


def test_the_size_limit_counts_after_decompression() -> None:
    bomb = gzip.compress(b" " * 3_000_000)
    with hospital(answer(bomb, "200 OK", "application/fhir+json", "Content-Encoding: gzip")) as (url, _):
        reply = send(url, max_reply_bytes=100_000)
    assert isinstance(reply, NoReply)
    assert "larger than" in reply.cause


@pytest.mark.parametrize(("kind", "body"), [("text/html", b"<html>welcome</html>"), ("application/fhir+json", b'{"resourceType":')])
def test_what_is_not_a_json_document_has_no_body(kind: str, body: bytes) -> None:
    with hospital(answer(body, "200 OK", kind)) as (url, _):
        reply = send(url)
    assert isinstance(reply, Reply)
    assert (reply.body, reply.raw_size, reply.content_type) == (None, len(body), kind)


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with hospital(answer(PATIENT)) as (url, _):
        assert isinstance(send(url), Reply)


def test_cookies_are_not_kept() -> None:
    with hospital(answer(PATIENT, "200 OK", "application/fhir+json", "Set-Cookie: a=b")) as (url, seen):
        client = Client(url)
        client.send(Call("GET", "Patient/7"))
        client.send(Call("GET", "Patient/7"))
    assert b"Cookie" not in seen[1]


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.test/x",
        "//evil.test/x",
        "/etc/passwd",
        "../admin",
        "Patient/../../x",
        "Patient/%2e%2e/x",
        "a\r\nX: y",
        "Patient/1 2",
        "\\x",
    ],
)
def test_a_path_that_leaves_the_base_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        Client("http://hospital.example/fhir").send(Call("GET", path))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://hospital.example/fhir?_getpages=1|2&_count=20", "?_getpages=1|2&_count=20"),
        ("https://hospital.example:443/fhir/Patient/1/_history/2", "Patient/1/_history/2"),
        ("Patient?page=2", "Patient?page=2"),
        ("/fhir/Patient?page=2", "Patient?page=2"),
        ("/other/Patient", None),
        ("https://hospital.example.evil.test/fhir/Patient", None),
        ("https://hospital.example@evil.test/fhir", None),
        ("https://user@hospital.example/fhir/Patient", None),
        ("https://hospital.example:8443/fhir/Patient", None),
        ("https://hospital.example:443:443/fhir/Patient", None),
        ("http://hospital.example/fhir/Patient", None),
        ("https://hospital.example/fhirx/Patient", None),
        ("https://hospital.example/fhir/../admin", None),
        ("//evil.test/fhir/Patient", None),
        ("https://[::1/fhir", None),
    ],
)
def test_a_link_is_followed_only_below_the_base(url: str, path: str | None) -> None:
    assert Client("https://hospital.example/fhir").path_of(url) == path


@pytest.mark.parametrize("url", ["ftp://x.example/fhir", "hospital.example", "https://u:p@x.example/fhir", "https://x.example/fhir?a=b"])
def test_a_base_address_must_be_a_plain_web_address(url: str) -> None:
    with pytest.raises(Refused):
        Client(url)


class Tokens:
    """A sign-in whose first token is stale."""

    def __init__(self) -> None:
        self.token = "stale"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def renew(self) -> bool:
        renewed, self.token = self.token == "stale", "fresh"
        return renewed


def test_a_401_is_answered_with_one_renewal_of_the_sign_in() -> None:
    with responses.RequestsMock() as web:
        web.get("https://hospital.example/fhir/Patient/7", status=401)
        web.get("https://hospital.example/fhir/Patient/7", json={"resourceType": "Patient"})
        reply = Client("https://hospital.example/fhir", sign_in=Tokens()).send(Call("GET", "Patient/7"))
        assert [call.request.headers["Authorization"] for call in web.calls] == ["Bearer stale", "Bearer fresh"]
    assert isinstance(reply, Reply)
    assert reply.status == 200


def test_a_second_401_is_the_answer() -> None:
    with responses.RequestsMock() as web:
        web.get("https://hospital.example/fhir/Patient/7", status=401)
        reply = Client("https://hospital.example/fhir", sign_in=Tokens()).send(Call("GET", "Patient/7"))
        assert len(web.calls) == 2
    assert isinstance(reply, Reply)
    assert reply.status == 401


def test_no_cause_holds_what_was_sent() -> None:
    with responses.RequestsMock() as web:
        web.post("https://hospital.example/fhir/Patient", body=requests.ConnectionError("Canary McSecret"))
        reply = Client("https://hospital.example/fhir").send(Call("POST", "Patient", {"name": "Canary McSecret"}))
    assert isinstance(reply, NoReply)
    assert "Canary" not in reply.cause
    assert reply.sent  # not known to be unsent

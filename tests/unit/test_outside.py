"""Calls to addresses that strangers named: which are refused before a byte leaves, and that TLS proves the name at the pinned address."""

import gzip
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import LOOPBACK, Receiver, means, receiving

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.hospital.transfer import Deadlines

QUICK = Deadlines(connect=1, read=1, total=1.5)


def outside(authority: tuple[Path, Path], *, networks: tuple[str, ...] = LOOPBACK, **options: Any) -> Outside:
    return Outside(networks=networks, verify=str(authority[0]), deadlines=QUICK, **{"resolve": means("127.0.0.1"), **options})


def test_the_name_is_proved_at_the_address_that_was_looked_at(authority: tuple[Path, Path], receiver: Receiver) -> None:
    asked: list[str] = []
    url = f"https://receiver.test:{receiver.port}/hook?of=us"
    reply = outside(authority, resolve=means("127.0.0.1", asked=asked)).post(url, b'{"a":1.0}', headers={"Content-Type": "text/plain"})
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (200, {"taken": True})
    assert receiver.seen == [(f"receiver.test:{receiver.port}", "/hook?of=us", b'{"a":1.0}')]
    assert asked == ["receiver.test"]  # once: a second answer could name another address


def test_a_certificate_of_another_name_is_an_alarm_and_nothing_is_sent(authority: tuple[Path, Path], receiver: Receiver) -> None:
    reply = outside(authority).post(f"https://other.test:{receiver.port}/hook", b"secret", headers={})
    assert isinstance(reply, NoReply)
    assert (reply.sent, reply.certificate, receiver.seen) == (False, True, [])


def test_a_certificate_nobody_vouches_for_is_refused(authority: tuple[Path, Path], receiver: Receiver) -> None:
    stranger = Outside(networks=LOOPBACK, resolve=means("127.0.0.1"), deadlines=QUICK)
    reply = stranger.get(f"https://receiver.test:{receiver.port}/")
    assert isinstance(reply, NoReply)
    assert (reply.sent, reply.certificate) == (False, True)


def test_the_next_address_of_a_name_is_tried_when_the_first_takes_no_connection(authority: tuple[Path, Path], receiver: Receiver) -> None:
    reply = outside(authority, resolve=means("127.0.0.9", "127.0.0.1")).get(f"https://receiver.test:{receiver.port}/")
    assert isinstance(reply, Reply)


def test_a_redirect_is_an_answer_and_is_not_followed(authority: tuple[Path, Path], receiver: Receiver) -> None:
    with receiving() as stranger:
        receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{stranger.port}/"}
        reply = outside(authority).post(f"https://receiver.test:{receiver.port}/", b"{}", headers={})
        assert isinstance(reply, Reply)
        assert (reply.status, stranger.seen) == (307, [])


def test_an_answer_that_unpacks_to_more_than_the_limit_is_none(authority: tuple[Path, Path], receiver: Receiver) -> None:
    receiver.body = gzip.compress(bytes(20_000_000))
    receiver.headers = {"Content-Encoding": "gzip", "Content-Length": str(len(receiver.body))}
    reply = outside(authority).get(f"https://receiver.test:{receiver.port}/")
    assert reply == NoReply(sent=True, cause="the reply is larger than 1000000 bytes")


def test_a_server_that_goes_silent_is_given_up(authority: tuple[Path, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        reply = outside(authority).get(f"https://receiver.test:{deaf.getsockname()[1]}/")
    assert isinstance(reply, NoReply)


def test_plain_http_passes_only_to_loopback_that_is_allowed(authority: tuple[Path, Path]) -> None:
    with receiving() as plain:
        url = f"http://127.0.0.1:{plain.port}/"
        assert isinstance(outside(authority).get(url), Reply)
        assert isinstance(outside(authority, networks=()).get(url), NoReply)
        elsewhere = outside(authority, networks=("10.0.0.0/8",), resolve=means("10.0.0.7")).get("http://receiver.test/")
        assert elsewhere == NoReply(sent=False, cause="must begin with https://")
        assert len(plain.seen) == 1


PRIVATE = (  # noqa: SIM905 - a list of forty lines reads worse
    "127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 192.0.0.8 198.18.0.1 224.0.0.1 "
    "240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::7f00:1 fe80::1 fe80::1%eth0 fec0::1 fc00::1 "
    "ff02::1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2001:0:7f00::1 2001:db8::1 100::1"
).split()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_of_a_private_address_is_refused_even_beside_a_public_one(address: str) -> None:
    for found in ((address,), ("93.184.216.34", address)):
        client = Outside(resolve=means(*found))
        with pytest.raises(Refused, match="public address"):
            client.check("https://hook.example/")
        reply = client.post("https://hook.example/", b"secret", headers={})
        assert isinstance(reply, NoReply)
        assert not reply.sent


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_a_name_of_public_addresses_passes(address: str) -> None:
    Outside(resolve=means(address)).check("https://hook.example:8443/a/b?c=d")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]", "127.0.0.1"])
def test_an_address_written_as_a_number_is_what_the_number_means(host: str) -> None:
    with pytest.raises(Refused, match="public address"):
        Outside().check(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook.example",
        "//hook.example/",
        "http:hook.example",
        "ftp://hook.example/",
        "https://",
        "https:///hook",
        "https://user@hook.example/",
        "https://hook.example@evil.test/",
        "https://hook.example\\@evil.test/",
        "https://hook.example#@evil.test/",
        "https://hook.example:0/",
        "https://hook.example:99999/",
        "https://hook.example:443:443/",
        "https://hook.example/ HTTP/1.1\r\nX: y",
        "https://hook.example/\n",
        "https://hook%2eexample/",
        "https://höok.example/",
        "https://[fe80::1%25eth0]/",
        "https://localhost/",
        "https://a.localhost/",
        "https://printer.local/",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Outside(resolve=means("93.184.216.34")).check(url)


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{1,40}", fullmatch=True))
def test_no_text_breaks_the_look_at_an_address(text: str) -> None:
    assert isinstance(Outside(resolve=means("127.0.0.1")).get(text), NoReply)


def test_a_name_without_an_address_is_no_reply_and_may_be_kept() -> None:
    def nobody(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "secret-name.example")

    client = Outside(resolve=nobody)
    client.check("https://hook.example/")
    reply = client.get("https://hook.example/")
    assert reply == NoReply(sent=False, cause="the name of the server there is not known to the name service")

"""The one way to an address that a stranger named: a webhook's target, a Task's focus, a sender's endpoint.

Whoever may name an address may try to have us call our own network for him (server-side request forgery). So it must be https,
every address its name means must be a public one, and the connection goes to the very address that was looked at (a second
look-up may answer otherwise: DNS rebinding), while TLS proves the *name*. No redirect is followed, nothing of ours is sent but
what the caller gives, and the answer is bounded in time and size.
"""

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.transfer import Deadlines, Transfer, new_session
from fhir_bridge.hospital.watched import WatchedAdapter

DEADLINES = Deadlines(connect=5, read=10, total=15)
MAX_REPLY_BYTES = 1_000_000
_MAX_URL = 2000
_TRIES = 3  # addresses of one name, one after the other, while nothing was sent
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)",
    re.IGNORECASE | re.ASCII,
)
_THIS_MACHINE = re.compile(r"(^|\.)(localhost|local)$")  # RFC 6761, RFC 6762: names of this machine and of this link
_GLOBAL_UNICAST = ip_network("2000::/3")
# Within what counts as global: addresses that carry others (6to4, its relays, Teredo), and protocol assignments.
_ODD = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16")))
_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address
Resolve = Callable[..., Iterable[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Target:
    """An address in parts; the whole of it matched one strict pattern, so that no second parser can read it otherwise."""

    scheme: str
    host: str
    port: int
    rest: str

    def at(self, address: Address) -> str:
        """The same address with the number instead of the name."""
        number = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{number}:{self.port}{self.rest}"

    @property
    def authority(self) -> str:
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


class Outside:
    """Calls to addresses that strangers named. Safe for several threads; no connection is kept.

    `networks` are those of ours that may be called all the same ("10.1.2.0/24": a receiver beside us); plain http passes only to
    loopback that is in them. `resolve` is `socket.getaddrinfo`; `verify` may name a file of certificate authorities.
    """

    def __init__(
        self,
        *,
        networks: Iterable[str] = (),
        resolve: Resolve = socket.getaddrinfo,
        verify: bool | str = True,
        deadlines: Deadlines = DEADLINES,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        """Raises `ValueError` for a network that is none."""
        self._networks = tuple(map(ip_network, networks))
        self._resolve = resolve
        self._transfer = Transfer(deadlines, max_reply_bytes, verify=verify, whom="the server there")

    def within(self, seconds: float) -> "Outside":
        """The same way, for calls of at most so many seconds."""
        hurried, least = copy(self), self._transfer.deadlines
        deadlines = Deadlines(min(least.connect, seconds), min(least.read, seconds), min(least.total, seconds))
        hurried._transfer = replace(self._transfer, deadlines=deadlines)
        return hurried

    def check(self, url: str) -> None:
        """Raises `Refused`, with why, when `url` may not be called. Looks its name up; a name of no address passes for now."""
        target = _target(url)
        try:
            self._addresses(target)
        except (OSError, UnicodeError):  # it may have an address tomorrow; the call looks again
            if target.scheme == "http":
                raise _refused("must begin with https://") from None

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Reply | NoReply:
        """The answer, or that none came, why, and whether anything was sent. Never raises for an address or the network."""
        return self._call("GET", url, None, headers or {})

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Reply | NoReply:
        """As `get`, with a body; name its Content-Type in `headers`."""
        return self._call("POST", url, body, headers)

    def _call(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply | NoReply:
        try:
            target = _target(url)
            addresses = self._addresses(target)
        except Refused as refused:
            return NoReply(sent=False, cause="; ".join(fault.message for fault in refused.faults))
        except (OSError, UnicodeError):  # UnicodeError: a label longer than names may have
            return NoReply(sent=False, cause="the name of the server there is not known to the name service")
        reply: Reply | NoReply = NoReply(sent=False, cause="the name of the server there means no address")
        for address in addresses[:_TRIES]:
            reply = self._send(method, target, address, body=body, headers=headers)
            if isinstance(reply, Reply) or reply.sent or reply.certificate:
                return reply
        return reply

    def _send(self, method: str, target: _Target, address: Address, *, body: bytes | None, headers: Mapping[str, str]) -> Reply | NoReply:
        with closing(new_session(partial(_PinnedAdapter, target.host.strip("[]")))) as session:
            told = {**headers, "Host": target.authority, "Connection": "close"}
            return self._transfer.make(session, method, target.at(address), content=body, headers=told)

    def _addresses(self, target: _Target) -> list[Address]:
        """Every address the name means, each once; raises `Refused` if one of them may not be called, `OSError` when there is none."""
        found = self._resolve(target.host.strip("[]"), target.port, type=socket.SOCK_STREAM)
        addresses = [*dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found)]
        for address in addresses:
            self._require_allowed(target, address)
        return addresses

    def _require_allowed(self, target: _Target, address: Address) -> None:
        plain = _unmapped(address)
        ours = any(plain in network for network in self._networks)
        if target.scheme == "http" and not (ours and plain.is_loopback):
            raise _refused("must begin with https://")
        if not ours and not _public(plain):
            raise _refused("must be a public address: its name means one of this machine, of a private network or of no host")


def _target(url: str) -> _Target:
    found = _URL.fullmatch(url) if len(url) <= _MAX_URL else None
    scheme, host = (found["scheme"].lower(), found["host"].lower()) if found else ("", "")
    if found is None or not 0 < (port := int(found["port"] or _PORTS[scheme])) < 65536:
        raise _refused("must be an address like https://clinic.example/hook: no user, no fragment, a name in ASCII")
    if _THIS_MACHINE.search(host):
        raise _refused("must be a public address: this name is one of this machine or of this link")
    return _Target(scheme, host, port, found["rest"] or "/")


def _unmapped(address: Address) -> Address:
    """An IPv4 address that is written as IPv6 is the IPv4 address."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    odd = any(address in network for network in _ODD if network.version == address.version)
    return address.is_global and not (odd or address.is_multicast or address.is_reserved)


def _refused(message: str) -> Refused:
    return Refused([Fault("url", message)])


class _PinnedAdapter(WatchedAdapter):
    """Connections to a number whose certificate must be the name's."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As above, with the name that TLS asks for and checks."""
        super().init_poolmanager(*args, **options, server_hostname=self._name, assert_hostname=self._name)

"""The one place that talks HTTP to a hospital: a fixed base address, deadlines, limits, and never a redirect."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from fhir_bridge.hospital.exchange import Call, NoReply, Reply
from fhir_bridge.hospital.sign_in import Anonymous, SignIn

__all__ = ["Call", "Client", "Deadlines", "NoReply", "Reply"]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to connect, to wait for the next byte, and for the whole call."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0


class Client:
    """Calls to the hospital at `base_url`. Safe for several threads: each has its own connections."""

    def __init__(
        self,
        base_url: str,
        *,
        sign_in: SignIn | None = None,
        session: requests.Session | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - a frozen value
        max_reply_bytes: int = 10_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        verify: bool | str = True,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._sign_in = sign_in or Anonymous()

    def send(self, call: Call, *, request_id: str = "") -> Reply | NoReply:
        """Make `call`; `request_id` becomes X-Request-ID. One renewal of the sign-in on 401. Never raises for the network."""
        raise NotImplementedError

    def path_of(self, url: str) -> str | None:
        """`url` (a next link, a Location) as a path under our base; None when scheme, host, port or path are not the base's."""
        raise NotImplementedError

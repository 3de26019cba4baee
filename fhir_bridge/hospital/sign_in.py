"""How we say who we are to a hospital. SMART Backend Services lives in `backend_services.py`."""

from base64 import b64encode
from typing import Protocol

from fhir_bridge.errors import BridgeError


class SignInFailed(BridgeError):
    """No token could be had; nothing was sent. The message holds no secret."""


class SignIn(Protocol):
    """Headers for one call; `renew` throws a refused token away and says whether a fresh one is worth one more try."""

    def headers(self) -> dict[str, str]:
        """Headers to add; raises `SignInFailed`."""
        ...

    def renew(self) -> bool:
        """Forget what was refused with 401; False when there is nothing to renew."""
        ...


class Anonymous:
    """No credentials: a test server on this machine."""

    def headers(self) -> dict[str, str]:
        """No headers."""
        return {}

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


class Basic:
    """User and password (RFC 7617), for test servers."""

    def __init__(self, user: str, password: str) -> None:
        self._value = "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    def headers(self) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": self._value}

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


class Bearer:
    """A fixed token (RFC 6750), for test servers."""

    def __init__(self, token: str) -> None:
        self._value = "Bearer " + token

    def headers(self) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": self._value}

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False

"""Our own address is what is set, never what a request's Host header says: links we give lead to us, through whatever proxy one came."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.middleware.proxy_fix import ProxyFix

from fhir_bridge.sync.bridge import Bridge


class PublicAddress:
    """A WSGI application that believes to be at `url` (`https://host[:port]`)."""

    def __init__(self, app: Any, url: str) -> None:
        self._app = app
        parts = urlsplit(url)
        self._told = {"wsgi.url_scheme": parts.scheme, "HTTP_HOST": parts.netloc}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Passes the request on."""
        answer: Iterable[bytes] = self._app({**environ, **self._told}, start_response)
        return answer


def behind(app: Any, bridge: Bridge) -> Any:
    """`app` (WSGI), told its own address if one is set, and who calls by the proxies before it; no other header is believed."""
    if bridge.proxies:
        app = ProxyFix(app, x_for=bridge.proxies, x_proto=0, x_host=0)
    return PublicAddress(app, bridge.public_url) if bridge.public_url else app

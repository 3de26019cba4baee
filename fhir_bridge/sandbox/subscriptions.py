"""R4 rest-hook Subscriptions as HAPI has them: asked for, then active, then one call for each change of the type.

As in HAPI (JPA server, `subscription.resthook_enabled`, which its starter leaves off): a Subscription that is `requested` becomes
`active` a moment later, as its next version; without `channel.payload` the notification is a bare POST, with one it is a PUT of the
resource to `endpoint/Type/id`; a deletion is not told, and what cannot be delivered is dropped (`tests/contract` asks both servers).
A criteria is the type, `Appointment?`; parameters are not looked at.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from fhir_bridge import documents
from fhir_bridge.sandbox.store import Store, Version

SECONDS = 5.0


class Notifier:
    """Listens to a store, and calls whoever subscribed, from one thread of its own, in the order of commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: queue.SimpleQueue[Version | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        store.listeners.append(self._heard)
        self._thread.start()

    def close(self) -> None:
        """Everything heard so far is told; then nothing more."""
        self._store.listeners.remove(self._heard)
        self._events.put(None)
        self._thread.join()

    def _heard(self, written: Sequence[Version]) -> None:
        for version in written:
            if version.document is not None:
                self._events.put(version)

    def _run(self) -> None:
        while (version := self._events.get()) is not None:
            if version.type == "Subscription":
                self._activate(version)
            else:
                self._tell(version)

    def _activate(self, version: Version) -> None:
        with self._store.draft() as draft:
            now = draft.current("Subscription", version.id)
            if now and now.document and now.document.get("status") == "requested" and _is_rest_hook(now.document):
                draft.write("Subscription", version.id, document=now.document | {"status": "active"}, method="PUT")

    def _tell(self, version: Version) -> None:
        with self._store.draft() as draft:
            found = [one.document for one in draft.every("Subscription") if one.document]
        for subscription in found:
            if subscription.get("status") == "active" and _is_rest_hook(subscription) and _is_about(subscription, version):
                _notify(subscription["channel"], version)


@contextmanager
def notifying(store: Store) -> Iterator[Notifier]:
    """A notifier of `store`, inside the block."""
    notifier = Notifier(store)
    try:
        yield notifier
    finally:
        notifier.close()


def _is_rest_hook(subscription: dict[str, Any]) -> bool:
    return bool(subscription.get("channel", {}).get("type") == "rest-hook")


def _is_about(subscription: dict[str, Any], version: Version) -> bool:
    return str(subscription.get("criteria", "")).partition("?")[0] == version.type


def _notify(channel: dict[str, Any], version: Version) -> None:
    address = urlsplit(channel["endpoint"])
    connection = (HTTPSConnection if address.scheme == "https" else HTTPConnection)(address.netloc, timeout=SECONDS)
    with suppress(OSError, HTTPException):
        if channel.get("payload"):
            headers = {"Content-Type": "application/fhir+json"}
            connection.request("PUT", f"{address.path}/{version.path}", body=documents.dumps(version.document), headers=headers)
        else:
            connection.request("POST", address.path, headers={"Content-Length": "0"})
        connection.getresponse().read()
    connection.close()

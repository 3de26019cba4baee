"""Requests with one Idempotency-Key that run at once: one of them is stored, the others get its answer or are refused."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from ward import post

from fhir_bridge.store import records
from fhir_bridge.sync import accept
from fhir_bridge.sync.bridge import Bridge


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests both look for a first answer before either is stored."""
    both, read = Barrier(2, timeout=30), accept.read

    def waiting(*given: Any) -> Any:
        both.wait()
        return read(*given)

    monkeypatch.setattr(accept, "read", waiting)


def at_once(bridge: Bridge, *sessions: dict[str, Any], key: str | None) -> list[Any]:
    with ThreadPoolExecutor(len(sessions)) as pool:
        return [one.exception() or one.result() for one in [pool.submit(post, bridge, session, key=key) for session in sessions]]


def stored(bridge: Bridge) -> list[str]:
    with bridge.store.reading() as tx:
        return [row.id for row in records.listing(tx, tenant="default", kind="session")]


@pytest.mark.usefixtures("together")
def test_of_two_bodies_under_one_key_one_is_stored_and_the_other_refused(bridge: Bridge, session: dict[str, Any]) -> None:
    ends = at_once(bridge, session, session | {"id": "S-OTHER"}, key="k-1")
    answered = [end["id"] for end in ends if isinstance(end, dict)]
    assert len(answered) == 1
    assert [type(end) for end in ends if not isinstance(end, dict)] == [accept.KeyReused]
    assert stored(bridge) == answered


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("key", ["k-1", None])
def test_one_body_sent_twice_at_once_is_stored_once_and_answered_twice(bridge: Bridge, session: dict[str, Any], key: str | None) -> None:
    first, second = at_once(bridge, session, session, key=key)
    assert first == second
    assert stored(bridge) == [session["id"]]

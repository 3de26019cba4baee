"""Scopes are sets of rights: what is granted is what is both asked and registered, however it is spelt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.sync.clients import scopes

KINDS = ("ServiceRequest", "Task", "Patient", "*")
ENDINGS = ("c", "r", "u", "d", "s", "cr", "rs", "cud", "cruds", "read", "write", "*")
WORDS = st.sampled_from([f"system/{kind}.{ending}" for kind in KINDS for ending in ENDINGS] + ["openid", "patient/Task.r", "system/Task."])
SCOPES = st.lists(WORDS, max_size=5).map(" ".join)
RIGHTS = [(kind, letter) for kind in ("ServiceRequest", "Task", "Patient", "Observation") for letter in scopes.LETTERS]


@given(asked=SCOPES, registered=SCOPES)
def test_what_is_granted_allows_what_both_allow_and_nothing_else(asked: str, registered: str) -> None:
    granted = scopes.granted(asked, registered)
    for kind, letter in RIGHTS:
        both = scopes.allows(asked, kind, letter) and scopes.allows(registered, kind, letter)
        assert scopes.allows(granted, kind, letter) == both, (kind, letter)


@given(asked=SCOPES, registered=SCOPES)
def test_what_is_granted_is_spelt_as_scopes_and_granted_again_stays(asked: str, registered: str) -> None:
    granted = scopes.granted(asked, registered)
    assert scopes.unknown(granted) == []
    assert scopes.granted(granted, registered) == granted


@pytest.mark.parametrize(
    ("asked", "registered", "granted"),
    [
        ("system/ServiceRequest.cr", "system/ServiceRequest.crs", "system/ServiceRequest.cr"),
        ("system/ServiceRequest.write", "system/ServiceRequest.cud", "system/ServiceRequest.write"),
        ("system/ServiceRequest.write", "system/ServiceRequest.c", "system/ServiceRequest.c"),
        ("system/*.*", "system/Task.r system/ServiceRequest.c", "system/ServiceRequest.c system/Task.r"),
        ("system/Task.cruds", "system/*.rs", "system/Task.rs"),
        ("system/Task.r system/Task.r", "system/*.cruds", "system/Task.r"),
    ],
)
def test_a_word_that_is_granted_whole_keeps_its_spelling(asked: str, registered: str, granted: str) -> None:
    assert scopes.granted(asked, registered) == granted


@pytest.mark.parametrize(
    "word",
    ["system/Task.sr", "system/Task.", "system/Task.x", "system/Task", "user/Task.r", "patient/*.read", "system/Task.rs?status=ready", "*"],
)
def test_what_is_no_scope_of_ours_allows_nothing(word: str) -> None:
    assert (scopes.rights(word), scopes.unknown(word)) == (frozenset(), [word])

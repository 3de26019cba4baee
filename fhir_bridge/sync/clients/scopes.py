"""What a hospital's client may do below /fhir: SMART scopes, as sets of (resource type, one of c r u d s).

SMART App Launch 2.2, "Scopes for requesting FHIR Resources": `system/ServiceRequest.cr`; `*` is every type. The spellings of version 1
(`.read`, `.write`, `.*`) are read as the standard translates them. A scope with search parameters behind `?`, or of another context
than `system`, grants nothing here: what cannot be kept is not promised.
"""

import re
from collections.abc import Iterable

LETTERS = "cruds"
ALL = "system/*.cruds"
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]{1,60})\.(c?r?u?d?s?|read|write|\*)")
_VERSION_1 = {"read": "rs", "write": "cud", "*": LETTERS}

Right = tuple[str, str]


def rights(scopes: str) -> frozenset[Right]:
    """What `scopes` (words between spaces) allow; a word that is no scope of ours allows nothing."""
    return frozenset(right for scope in scopes.split() for right in _rights_of(scope))


def allows(scopes: str, kind: str, letter: str) -> bool:
    """May one who holds `scopes` create (c), read (r), update (u), delete (d) or search (s) resources of type `kind`?"""
    return bool({(kind, letter), ("*", letter)} & rights(scopes))


def granted(asked: str, registered: str) -> str:
    """What is both asked and registered, as words in the order asked; empty when that is nothing.

    A word that is granted whole keeps its spelling; of any other, the part that is registered.
    """
    held = rights(registered)
    words = [word for scope in asked.split() for word in _kept(scope, held)]
    return " ".join(dict.fromkeys(words))


def unknown(scopes: str) -> list[str]:
    """The words of `scopes` that are no scope of ours."""
    return [scope for scope in scopes.split() if not _rights_of(scope)]


def _kept(scope: str, held: frozenset[Right]) -> Iterable[str]:
    asked = _rights_of(scope)
    kept = {right for right in asked if right in held or ("*", right[1]) in held}
    kept |= {(kind, letter) for kind, letter in held if ("*", letter) in asked - kept}
    if kept and kept == asked:
        return [scope]
    kinds = sorted({kind for kind, _ in kept})
    return [f"system/{kind}." + "".join(letter for letter in LETTERS if (kind, letter) in kept) for kind in kinds]


def _rights_of(scope: str) -> frozenset[Right]:
    found = _SCOPE.fullmatch(scope)
    return frozenset((found[1], letter) for letter in _VERSION_1.get(found[2], found[2])) if found else frozenset()

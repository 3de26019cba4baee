"""Whether two FHIR documents mean the same: 36.80 is 36.8, `…T09:00:00-05:00` is `…T14:00:00Z`, keys in any order.

For "did the hospital keep it": servers rewrite decimals and times. Lists keep their order, since in FHIR it may mean something.
"""

from collections.abc import Iterator
from decimal import Decimal

from fhir_bridge.fhir.paths import Place, rendered
from fhir_bridge.fhir.times import same_instant

_NOTHING = object()


def same(a: object, b: object) -> bool:
    """True when `a` and `b` mean the same."""
    return next(_differences(a, b, ""), None) is None


def differences(a: object, b: object, *, at: str = "") -> list[str]:
    """The paths at which `a` and `b` do not mean the same, in the order of `a`; a part only one of them has is one path."""
    return [rendered(place) for place in _differences(a, b, at)]


def _differences(a: object, b: object, at: Place) -> Iterator[Place]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from _differences(a.get(key, _NOTHING), b.get(key, _NOTHING), (at, key))
    elif isinstance(a, list) and isinstance(b, list):
        for index in range(max(len(a), len(b))):
            one, other = (part[index] if index < len(part) else _NOTHING for part in (a, b))
            yield from _differences(one, other, (at, index))
    elif not _same_leaf(a, b):
        yield at


def _same_leaf(a: object, b: object) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float | Decimal) and isinstance(b, int | float | Decimal):
        return _decimal(a) == _decimal(b)
    if isinstance(a, str) and isinstance(b, str):
        return a == b or same_instant(a, b)
    return a is b or (a == b and type(a) is type(b))


def _decimal(number: int | float | Decimal) -> Decimal:
    """A float by its shortest spelling, which is what was sent."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)

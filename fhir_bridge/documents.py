"""JSON documents as plain dicts: numbers keep their digits, and what no database could store is refused at the door.

`36.80` is read as `Decimal("36.80")` and written as `36.80`. Refused while reading: text that is not UTF-8 JSON, NaN and
Infinity, a key said twice, NUL and lone surrogates, and documents larger or deeper than the limits (PostgreSQL stores none of
those characters, and Python's parsers answer deep nesting with a RecursionError).
"""

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from fhir_bridge.errors import Fault, Refused

MAX_BYTES = 2_000_000
MAX_DEPTH = 32
_MOST_DIGITS, _MOST_EXPONENT = 4300, 3  # of a number, and of its exponent

_NO_OUTLINE = bytes(set(range(256)) - set(b'[]{}:"'))
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89abAB])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_encoder = msgspec.json.Encoder(decimal_format="number")
_quick = msgspec.json.Decoder(float_hook=lambda text: _decimal(text))
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_sorted_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


def loads(text: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The document in `text`; raises `Refused` with what is wrong and how to mend it."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if len(text) > max_bytes:
        _refuse(f"is {len(text)} bytes long; send at most {max_bytes}")
    outline = _outline(text)
    if _deeper(outline, max_depth):
        _refuse(f"is nested deeper than {max_depth} levels; flatten it")
    document = _read(text, members=outline.count(b":"))
    if _SUSPICIOUS.search(text) and _unstorable(document):
        _refuse("holds a NUL or half a surrogate pair, which no database stores; remove it")
    return document


def dumps(document: Any) -> bytes:
    """`document` as compact UTF-8 JSON, keys in their own order, decimals with their own digits."""
    return _encoder.encode(document)


def pretty(document: Any) -> str:
    """`document` for people: two spaces, one field a line."""
    return msgspec.json.format(_encoder.encode(document), indent=2).decode()


def canonical(document: Any) -> bytes:
    """The one spelling of `document`: compact, keys sorted. Equal documents give equal bytes, which may be hashed."""
    return _sorted_encoder.encode(document)


def members(text: bytes) -> dict[str, object]:
    """The members of the object in `text`, each as it is spelt and equal only to the same spelling; nothing of it is read."""
    return dict(_members.decode(text))


def _outline(text: bytes) -> bytes:
    """The brackets and colons of `text` outside of its strings, at the speed of C."""
    if b"\\" in text:
        text = _ESCAPED.sub(b"", text)
    kept = text.translate(None, _NO_OUTLINE).replace(b'""', b"")  # that a string ends and another begins changes no other's side
    return b"".join(kept.split(b'"')[::2])


def _deeper(outline: bytes, levels: int) -> bool:
    """Do the brackets nest deeper? Each round takes the innermost pairs away; what never closes counts as it opens."""
    brackets = outline.replace(b":", b"")
    for taken in range(levels + 1):
        inner = brackets.replace(b"[]", b".").replace(b"{}", b".").replace(b".", b"")
        if inner == brackets:
            return taken + brackets.count(b"[") + brackets.count(b"{") > levels
        brackets = inner
    return True


def _read(text: bytes, *, members: int) -> Any:
    """The document, by the quick parser. It keeps the last of two equal keys: where it found fewer than `members`, or anything
    wrong, the plain one reads again and says what it is."""
    with suppress(ValueError):
        document = _quick.decode(text)
        if _outline(_encoder.encode(document)).count(b":") == members:
            return document
    return _read_plainly(text)


def _read_plainly(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        _refuse(f"is not UTF-8 at byte {error.start}; send UTF-8")
    except json.JSONDecodeError as error:
        _refuse(f"is not JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except ValueError:  # an integer of more digits than Python converts
        _refuse("holds a number too long to read; send at most 4300 digits")


def _decimal(text: str) -> Decimal:
    """The number with its digits; one that no measure needs is refused, for arithmetic on it may never end."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _MOST_DIGITS or len(exponent.lstrip("+-0")) > _MOST_EXPONENT:
        _refuse("holds a number too large, too small or too long to read")
    return Decimal(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("says a key twice in one object; keep one of them")
    return found


def _unstorable(document: Any) -> bool:
    if isinstance(document, dict):
        return any(_unstorable(key) or _unstorable(value) for key, value in document.items())
    if isinstance(document, list):
        return any(map(_unstorable, document))
    return isinstance(document, str) and bool(_UNSTORABLE.search(document))


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"holds {name}, which is not JSON; leave the field out or say why it is absent")


def _refuse(message: str) -> NoReturn:
    raise Refused([Fault("", f"the document {message}")])

"""The JSON door: digits survive, and what no database could store or no parser should meet is refused with a reason."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_bridge import documents
from fhir_bridge.errors import Refused

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
LEAF = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20)
KEYS = st.sampled_from(["a", "b", "c", "", '"', "\\", 'a\\":', "{", "ä"])
MEMBERS = st.lists(st.tuples(KEYS.map(documents.dumps), LEAF.map(documents.dumps)), max_size=4)
FRAGMENT = st.sampled_from(
    [b'"', b"\\", b'\\"', b"\\u00e4", b":", b",", b"[", b"]", b"{", b"}", b"-0", b"1.50", b"1e5", b"01", b" ", b"\xff", b"\x01"]
)


def spelt(parts: list[tuple[bytes, bytes]]) -> bytes:
    """An object that may say a key twice."""
    return b"{" + b", ".join(name + b" : " + value for name, value in parts) + b"}"


SPELT = st.recursive(
    LEAF.map(documents.dumps) | MEMBERS.map(spelt),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda all_: b"[" + b",".join(all_) + b"]")
        | st.lists(st.tuples(KEYS.map(documents.dumps), inner), max_size=3).map(spelt)
    ),
    max_leaves=8,
)


def refusal(text: bytes) -> str:
    with pytest.raises(Refused) as caught:
        documents.loads(text)
    return str(caught.value)


@pytest.mark.parametrize("digits", ["36.80", "36.8", "0.50", "120.0", "7", "1234567890.123456789"])
def test_a_number_keeps_its_digits(digits: str):
    assert documents.dumps(documents.loads(f'{{"value":{digits}}}'.encode())) == f'{{"value":{digits}}}'.encode()


@given(JSON)
def test_what_was_written_is_read_again(document: Any):
    assert documents.loads(documents.dumps(document)) == document


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def measured(text: str) -> Decimal:
    """A number that some measure needs: of more than three digits of exponent there is none."""
    if len(text.lower().partition("e")[2].lstrip("+-0")) > 3:
        raise ValueError
    return Decimal(text)


@given(SPELT, st.lists(st.tuples(st.integers(0, 200), FRAGMENT), max_size=2))
@example(b"[-100000]", [(3, b"1e5")])
def test_what_is_no_document_is_refused_and_what_is_one_is_read_as_any_reader_would(text: bytes, put_in: list[tuple[int, bytes]]):
    for at, fragment in put_in:
        text = text[: at % (len(text) + 1)] + fragment + text[at % (len(text) + 1) :]
    try:
        expected = repr(json.loads(text.decode(), parse_float=measured, object_pairs_hook=once_each))
    except ValueError:
        refusal(text)
    else:
        assert repr(documents.loads(text)) == expected


def test_equal_documents_have_one_canonical_spelling():
    assert (
        documents.canonical({"b": Decimal("1.0"), "a": [1]}) == documents.canonical({"a": [1], "b": Decimal("1.0")}) == b'{"a":[1],"b":1.0}'
    )


def test_a_byte_order_mark_is_no_part_of_the_document():
    assert documents.loads(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"not json", "is not JSON at line 1, column 1"),
        (b'{"a": [1', "is not JSON"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1, "a": 2}', "says a key twice"),
        (b'{"a": "\\u0000"}', "holds a NUL or half a surrogate pair"),
        (b'{"a": "\\ud800"}', "holds a NUL or half a surrogate pair"),
        (b'{"a\\ud800": 1}', "holds a NUL or half a surrogate pair"),
        (b'"\xff"', "is not UTF-8"),
        (b"9" * 5000, "a number too long"),
        (b"1." + b"9" * 5000, "too long to read"),
        (b"1e1000", "too large, too small"),
        (b"-1E-" + b"9" * 400, "too large, too small"),
        (b" " * 2_000_001, "is 2000001 bytes long; send at most 2000000"),
    ],
)
def test_what_could_not_be_stored_is_refused(text: bytes, reason: str):
    assert reason in refusal(text)


@pytest.mark.parametrize(("opened", "closed", "levels"), [(b"[", b"]", 1), (b'{"a":', b"}", 1), (b'[{"a":', b"}]", 2)])
def test_nesting_is_refused_beyond_the_limit_and_only_then(opened: bytes, closed: bytes, levels: int):
    deepest = documents.MAX_DEPTH // levels
    documents.loads(opened * deepest + b"1" + closed * deepest)
    assert "nested deeper" in refusal(opened * (deepest + 1) + b"1" + closed * (deepest + 1))


def test_brackets_in_strings_neither_count_nor_hide_what_counts():
    documents.loads(b'["' + b"[" * 100 + b'\\"\\\\"]')
    assert "nested deeper" in refusal(b'["]",' * 100 + b"1" + b"]" * 100)


def test_a_bomb_of_brackets_is_refused_without_being_parsed():
    assert "nested deeper" in refusal(b"[" * 1_000_000)

"""Code tables: the clinic's words and the codes they stand for, both ways.

A word may stand for no code (`~`, or only codes that nobody verified): then nothing is written for it. A code that several
words share reads back as the set of them, to be narrowed by everything else that speaks of the field; the table names the word
that is meant when nothing else does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

from fhir_bridge.mapping.source import Faults, Located

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_FINEST = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Candidates:
    """The words that may have been meant, and the one to take if nothing narrows them further."""

    words: frozenset[str]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a word: `system` is empty for a plain code."""

    code: str
    system: str = ""
    display: str = ""


@dataclass(slots=True, eq=False)
class CodeTable:
    """`written` has every word, `read` every code of `(system, code)` with the words it may mean."""

    name: str
    where: str
    local: str = ""
    written: dict[str, tuple[Code, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    read: dict[tuple[str, str], Candidates] = field(default_factory=dict)

    def codes(self, word: str) -> tuple[Code, ...]:
        """What `word` is written as; raises ValueError for a word the table does not have."""
        try:
            return self.written[word]
        except (KeyError, TypeError):
            raise ValueError(f"is not a word of the table {self.name}; use one of its words, or add it to codes/{self.name}.yaml") from None

    @property
    def systems(self) -> frozenset[str]:
        return frozenset(system for system, _ in self.read)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """How a unit is shown, and how values in other units become values in it: `(value - minus) * times / over`, to `places`."""

    code: str
    shown: str
    reads: Mapping[str, "Conversion"]


@dataclass(frozen=True, slots=True)
class Conversion:
    minus: Decimal = Decimal(0)
    times: Decimal = Decimal(1)
    over: Decimal = Decimal(1)
    places: int | None = None

    def apply(self, value: Decimal | int) -> Decimal | int:
        """Exact where six decimal places are enough, else rounded half to even at `places`."""
        if self.places is None:
            return value
        exact = _EXACT.divide(_EXACT.multiply(Decimal(value) - self.minus, self.times), self.over)
        if exact != exact.quantize(_FINEST, context=_EXACT):
            exact = exact.quantize(Decimal(1).scaleb(-self.places), context=_EXACT)
        return int(exact) if exact == exact.to_integral_value() else exact.normalize(_EXACT)


_HEADER = {"codes", "default", "also read", "system", "local", "source", "verified", "rows", "one way"}
_CODE = {"code", "system", "display", "source", "verified", "codes"}


def load_table(name: str, node: Located, faults: Faults) -> CodeTable:
    """The code table in a file of `codes`, `default`, `also read`, `system`, `local` and `source`."""
    header = node.map(faults)
    for word in header.keys() - _HEADER:
        faults.add(header[word], f"{word} is not a word of a code table; it has {', '.join(sorted(_HEADER))}")
    table = CodeTable(name, node.where, local=_text(header, "local", faults))
    system, sourced = _text(header, "system", faults), "source" in header
    meanings: dict[tuple[str, str], dict[str, Located]] = {}
    for word, row in header["codes"].map(faults).items() if "codes" in header else ():
        codes = tuple(_codes(row, system, sourced, faults))
        table.written[word] = codes
        table.names[word] = next((code.display for code in codes if code.display), _display(row)) or word.replace("-", " ")
        for code in codes:
            meanings.setdefault((code.system, code.code), {})[word] = row
        if table.local:
            meanings.setdefault((table.local, word), {})[word] = row
    for key, meant in _also_read(header, system, faults):
        for one in meant:
            if one.value not in table.written:
                faults.add(one, f"{one.value} is not a word of this table")
        table.read[key] = Candidates(frozenset(str(one.value) for one in meant))
    _share(table, meanings, header.get("default"), faults)
    return table


def load_units(node: Located, faults: Faults) -> dict[str, Unit]:
    """The units of `codes/units.yaml`: how each is shown, and which others can be read as it."""
    found = {}
    for code, row in node.map(faults).items():
        parts = row.map(faults)
        reads = parts["reads"].map(faults) if "reads" in parts else {}
        conversions = {other: _conversion(how, faults) for other, how in reads.items()}
        found[code] = Unit(code, _text(parts, "unit", faults) or code, {code: Conversion(), **conversions})
    return found


def _conversion(node: Located, faults: Faults) -> Conversion:
    if node.is_null():
        return Conversion()
    parts = {name: part.text(faults) for name, part in node.map(faults).items()}
    if "places" not in parts:
        faults.add(node, "needs `places`: to how many decimal places a converted value is rounded")
    numbers = {name: Decimal(parts[name]) for name in ("minus", "times", "over") if name in parts}
    return Conversion(**numbers, places=int(parts.get("places", "0")))


def _codes(row: Located, system: str, sourced: bool, faults: Faults) -> Iterable[Code]:
    if row.is_null():
        return
    if isinstance(row.value, str):
        if not sourced:
            faults.add(row, "needs a source: say at the head of the table where its codes are from")
        yield Code(row.value, system)
        return
    parts = row.map(faults)
    for word in parts.keys() - _CODE:
        faults.add(parts[word], f"{word} is not a word of a code; it has {', '.join(sorted(_CODE))}")
    if "codes" in parts:
        for each in parts["codes"].items(faults):
            yield from _codes(each, system, sourced, faults)
    if "code" in parts:
        if not (sourced or "source" in parts):
            faults.add(row, "needs a source: a code ships only with where it is from")
        if _text(parts, "verified", faults) != "false":
            yield Code(parts["code"].text(faults), _text(parts, "system", faults) or system, _text(parts, "display", faults))


def _also_read(header: Mapping[str, Located], system: str, faults: Faults) -> Iterable[tuple[tuple[str, str], list[Located]]]:
    if "also read" not in header:
        return
    for code, meant in header["also read"].map(faults).items():
        at, _, bare = code.rpartition("|")
        yield (at or system, bare), meant.value if isinstance(meant.value, list) else [meant]


def _share(table: CodeTable, meanings: dict[tuple[str, str], dict[str, Located]], default: Located | None, faults: Faults) -> None:
    """Fill `table.read` from what is written; every code that several words share needs a default."""
    defaults = default.map(faults) if default else {}
    for key, words in meanings.items():
        chosen = defaults.get(key[1])
        meant = str(chosen.value) if chosen else None
        if len(words) > 1 and not meant:
            faults.add(
                next(iter(words.values())), f"{key[1]} is shared by {', '.join(sorted(words))}: say in `default` which one is meant alone"
            )
        if chosen and meant not in words:
            faults.add(chosen, f"{meant} is not among the words of {key[1]}: {', '.join(sorted(words))}")
        more = table.read.get(key, Candidates(frozenset())).words
        table.read[key] = Candidates(frozenset(words) | more, meant)
    for code in defaults.keys() - {code for _, code in meanings}:
        faults.add(defaults[code], f"{code} is not a code of this table")


def _text(parts: Mapping[str, Located], word: str, faults: Faults) -> str:
    return parts[word].text(faults) if word in parts else ""


def _display(row: Located) -> str:
    display = row.value.get("display") if isinstance(row.value, dict) else None
    return str(display.value) if display else ""

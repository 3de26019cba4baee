"""The clinic's door: a document becomes a record in its one form, or is refused with everything that is wrong with it.

`load(load(x)) == load(x)`: what was taken once is taken again unchanged.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from fhir_bridge.clinic import jsonschema
from fhir_bridge.clinic.fields import site_zone
from fhir_bridge.clinic.normal import normal
from fhir_bridge.clinic.referral import Referral
from fhir_bridge.clinic.rules import appointment_faults, referral_faults, session_faults, structure_faults
from fhir_bridge.clinic.session import Appointment, session_with
from fhir_bridge.clinic.shape import shape_of
from fhir_bridge.clinic.structure import Record
from fhir_bridge.clinic.vitals import Vital
from fhir_bridge.errors import Fault, Refused


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record: its fields, the rules that no single field can say, and the field that holds its number and version."""

    schema: Record
    rules: Callable[[dict[str, Any]], Iterator[Fault]]
    head: str = ""


class Records:
    """The kinds of record this site's clinic sends: ours, and in readings the site's further `vitals`. Read-only, shared by threads."""

    def __init__(self, vitals: Iterable[Vital] = ()) -> None:
        self.vitals = tuple(vitals)
        self.kinds = {
            "session": Kind(session_with(self.vitals)(), session_faults),
            "appointment": Kind(Appointment(), appointment_faults, head="follow_up"),
            "referral": Kind(Referral(), referral_faults, head="referral"),
        }

    def load(self, kind: str, document: Any, *, zone: ZoneInfo | None = None) -> dict[str, Any]:
        """`document` in normal form; `zone` completes times without an offset. Raises `Refused` with every fault at once."""
        found = self._kind(kind)
        data, faults = _read(found.schema, document, zone)
        if isinstance(data, dict):
            faults += _fresh([*structure_faults(found.schema, data), *found.rules(data)], faults)
        if faults:
            raise Refused(faults)
        return normal(found.schema, data)

    def kind_of(self, document: Any) -> str:
        """The kind whose fields `document` has: the fewest unknown ones, then the fewest missing."""
        if not isinstance(document, dict):
            raise Refused([Fault("", "is not a clinic record; send one JSON object")])
        names = document.keys()
        misfits = {kind: (len(names - _names(found)), len(_required(found) - names)) for kind, found in self.kinds.items()}
        best = min(misfits, key=misfits.__getitem__)
        if not names & (_names(self.kinds[best]) - {"id"}):
            raise Refused([Fault("", f"is not a clinic record; send one of {', '.join(self.kinds)}")])
        return best

    def shape(self, kind: str, record: dict[str, Any]) -> Hashable:
        """What `record`, in normal form, looks like without its values (see `clinic.shape`)."""
        return kind, shape_of(type(self._kind(kind).schema))(record)

    def json_schema(self, kind: str) -> dict[str, Any]:
        """The JSON Schema (draft 2020-12) of `kind`, with descriptions, units, bounds, words and defaults."""
        return jsonschema.schema_of(self._kind(kind).schema, kind)

    def fields(self, kind: str) -> dict[str, Any]:
        """The tree of field names of `kind`: objects as dicts, lists as one-element lists, values as the name of their type.

        With what is derived from a record before it is mapped (`derived_fields`), which the door refuses like any unknown field.
        """
        return jsonschema.tree_of(self._kind(kind).schema) | derived_fields(kind)

    def all_fields(self) -> dict[str, Any]:
        """What a mapping template may speak of: the field trees of all kinds laid over each other."""
        tree: dict[str, Any] = {}
        for kind in self.kinds:
            tree = _laid_over(tree, self.fields(kind))
        return tree

    def identity(self, kind: str, record: dict[str, Any]) -> str:
        """The number that all versions of `record` share: a session's `id`, `follow_up.id`, `referral.id`."""
        return str(_head(self._kind(kind), record)["id"])

    def version(self, kind: str, record: dict[str, Any]) -> int:
        """Which version of the record this is; 1 where it does not say."""
        return int(_head(self._kind(kind), record).get("version", 1))

    def _kind(self, kind: str) -> Kind:
        if kind not in self.kinds:
            raise Refused([Fault("", f"no such kind of record; write one of {', '.join(self.kinds)}")])
        return self.kinds[kind]


OURS = Records()
KINDS = tuple(OURS.kinds)
load, kind_of, json_schema, fields, all_fields = OURS.load, OURS.kind_of, OURS.json_schema, OURS.fields, OURS.all_fields
identity, version = OURS.identity, OURS.version


def _head(kind: Kind, record: dict[str, Any]) -> dict[str, Any]:
    return dict(record[kind.head]) if kind.head else record


def _laid_over(tree: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both trees as one; where both have an object, its fields are those of both."""
    both = {
        name: _laid_over(tree[name], found) for name, found in other.items() if isinstance(found, dict) and isinstance(tree.get(name), dict)
    }
    return tree | other | both


def derived_fields(kind: str) -> dict[str, Any]:
    """What is added to a record of `kind` on its way to the mapping: a session's `summary` (see `clinic.summary.with_summary`)."""
    return {"summary": {"text": "text", "pdf": "text", "created": "time"}} if kind == "session" else {}


def _names(kind: Kind) -> set[str]:
    return set(kind.schema.fields)


def _required(kind: Kind) -> set[str]:
    return {name for name, field in kind.schema.fields.items() if field.required}


def _read(schema: Record, document: Any, zone: ZoneInfo | None) -> tuple[Any, list[Fault]]:
    """What the schemas take of `document`, and what they refuse."""
    token = site_zone.set(zone)
    try:
        return schema.load(document), []
    except ValidationError as error:
        return error.valid_data, list(_flat(error.messages, ""))
    finally:
        site_zone.reset(token)


def _flat(messages: Any, path: str) -> Iterator[Fault]:
    if isinstance(messages, dict):
        for name, found in messages.items():
            yield from _flat(found, _step(path, name))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield Fault(path, str(message))


def _step(path: str, name: Any) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    if name == "_schema":
        return path
    short = str(name)[:40]
    return f"{path}.{short}" if path else short


def _fresh(found: Iterable[Fault], known: list[Fault]) -> list[Fault]:
    """Of the rules' faults, those that do not merely follow from what the schemas refused at the same place or inside it."""
    paths = [fault.path for fault in known]
    return [
        fault for fault in found if not any(path == fault.path or path.startswith((f"{fault.path}.", f"{fault.path}[")) for path in paths)
    ]

"""How values make a record: objects (`Record`, inside another `Part`), lists with a key (`Rows`), lists in their own order (`Lines`).

The classes declared with these are the only definition of a record: loading, the JSON Schema and the field tree all walk them.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError
from marshmallow import fields as base

from fhir_bridge.clinic.fields import MESSAGES, Leaf, Messages

_UNKNOWN = "unknown field"
_OBJECT = {"unknown": _UNKNOWN, "type": "must be an object with fields"}
_LIST: Messages = {**MESSAGES, "type": "must be a list in square brackets", "invalid": "must be a list in square brackets"}
_LONGEST_LIST = 10_000


class Record(Schema):
    """An object.

    `key` names the fields that tell one list element from another. `labels` names the fields that say nothing alone: a record
    with labels needs a field besides them.
    """

    error_messages = _OBJECT
    key: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    class Meta:
        """Nothing unknown is let through."""

        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Says of each unknown field which known one it may be."""
        messages = error.messages if isinstance(error.messages, dict) else {}
        for part in messages.values() if many else [messages]:
            for name, found in part.items() if isinstance(part, dict) else ():
                if found == [_UNKNOWN]:
                    part[name] = [_not_known(str(name), list(self.fields))]


class Nested(base.Nested):
    """What Part and Rows share: `record`, the schema of the objects inside."""

    default_error_messages = _LIST

    @property
    def record(self) -> Record:
        """The schema of the objects inside."""
        return cast(Record, self.schema)


class Part(Nested):
    """An object inside an object."""

    def __init__(self, schema: type[Record], about: str, **options: Any) -> None:
        super().__init__(schema, metadata={"description": about}, **options)


class Rows(Nested):
    """A list of objects, each told from the others by its schema's key; an empty list is the same as none."""

    def __init__(self, schema: type[Record], about: str, **options: Any) -> None:
        super().__init__(schema, many=True, metadata={"description": about}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, partial: Any = None, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise self.make_error("type")
        if len(value) > _LONGEST_LIST:
            raise ValidationError(f"has more than {_LONGEST_LIST} elements; split the session")
        if self.required and not value:
            raise ValidationError("is empty; add at least one element")
        return super()._deserialize(value, attr, data, partial, **kwargs)


class Lines(base.List[Any]):
    """A list of texts whose order means something (given names, address lines)."""

    default_error_messages = _LIST

    def __init__(self, line: Leaf, about: str, **options: Any) -> None:
        super().__init__(line, metadata={"description": about}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if self.required and not value:
            raise ValidationError("is empty; add at least one element")
        return super()._deserialize(value, attr, data, **kwargs)


def _not_known(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"is not a field known here; {f'did you mean {near[0]}?' if near else 'known are ' + ', '.join(known)}"

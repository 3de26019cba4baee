"""JSON Patch (RFC 6902) on a document, all operations or none."""

import copy
from typing import Any

from fhir_bridge.sandbox.outcome import Rejected


def patched(document: Any, operations: Any) -> Any:
    """A patched copy; an operation that does not apply is refused with HAPI's 400."""
    result = copy.deepcopy(document)
    try:
        for operation in operations:
            result = _apply(result, operation)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        raise Rejected(400, "HAPI-1272: Failed to apply JSON patch: a path is missing or a test failed") from None
    return result


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    path = _parts(operation["path"])
    match operation["op"]:
        case "test":
            if _at(document, path) != operation["value"]:
                raise ValueError
        case "remove":
            _take(document, path)
        case "add":
            _put(document, path, value=operation["value"])
        case "replace":
            _take(document, path)
            _put(document, path, value=operation["value"])
        case "move":
            _put(document, path, value=_take(document, _parts(operation["from"])))
        case "copy":
            _put(document, path, value=copy.deepcopy(_at(document, _parts(operation["from"]))))
        case _:
            raise ValueError
    return document


def _parts(path: str) -> list[str]:
    if not path.startswith("/"):
        raise ValueError
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _take(document: Any, path: list[str]) -> Any:
    parent, last = _at(document, path[:-1]), path[-1]
    return parent.pop(int(last)) if isinstance(parent, list) else parent.pop(last)


def _put(document: Any, path: list[str], *, value: Any) -> None:
    parent, last = _at(document, path[:-1]), path[-1]
    if not isinstance(parent, list):
        parent[last] = value
    elif last == "-":
        parent.append(value)
    elif int(last) <= len(parent):
        parent.insert(int(last), value)
    else:
        raise IndexError

"""A template: one kind of resource, when it exists, what makes it the same one, and its identifier for ever."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from typing import Any

from fhir_bridge.errors import Fault
from fhir_bridge.mapping.codes import CodeTable
from fhir_bridge.mapping.converters import ABSENT
from fhir_bridge.mapping.parts import Const, Hole, Part, Text
from fhir_bridge.mapping.scope import Loop, Path, Scope, absolute
from fhir_bridge.mapping.structure import Each, Obj

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@dataclass(frozen=True, slots=True)
class When:
    """`when: <path>` something is there; `when: <path | code TABLE>` the word there has a code."""

    path: Path
    table: CodeTable | None = None

    def holds(self, scope: Scope) -> bool:
        found = scope.find(self.path)
        return found is not ABSENT and (self.table is None or bool(self.table.written.get(found)))

    def speaks_of(self, path: Path, loops: Iterable[Loop]) -> bool:
        """Is `path` what this asks for, or inside it?"""
        asked = absolute(self.path, loops)
        return tuple(step.removesuffix("[]") for step in absolute(path, loops))[: len(asked)] == tuple(
            step.removesuffix("[]") for step in asked
        )


@dataclass(frozen=True, eq=False)
class Template:
    name: str
    where: str
    loops: tuple[Loop, ...]
    when: When
    identity: Hole | Text
    resource: Obj
    prefix: bytes
    only_to_fhir: str = ""

    @cached_property
    def type(self) -> str:
        part = self.resource.parts.get("resourceType")
        return str(part.value) if isinstance(part, Const) else ""

    def id(self, scope: Scope) -> str | None:
        """The resource's identifier: a UUID (version 5) of the site, the template and what makes the resource the same one.

        None where the record does not say what makes it the same one.
        """
        identity = self.identity.write(scope)
        return None if identity is ABSENT else resource_id(self.prefix, identity)

    def unidentified(self, scope: Scope) -> list[Fault]:
        """Every field that the identifier needs and the record does not say."""
        missing = [hole for hole in inner_holes(self.identity) if not hole.there(scope)]
        return [Fault(scope.where(hole.path), f"is missing, and identifies the {self.type} made of it") for hole in missing]

    def scopes(self, record: dict[str, Any], reference: Callable[[str, Scope, str | None], str | None]) -> Iterator[Scope]:
        """One for each resource that the record asks for."""
        scopes = [Scope({"": record}, reference)]
        for loop in self.loops:
            scopes = [inside for scope in scopes for inside in scope.inside(loop)]
        return (scope for scope in scopes if self.when.holds(scope))

    @cached_property
    def all_loops(self) -> tuple[Loop, ...]:
        """The loops that make copies of the resource, then those inside it."""
        return (*self.loops, *(part.loop for part in self.resource.inner() if isinstance(part, Each)))

    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for part in self.resource.inner() if isinstance(part, Hole))

    @cached_property
    def makes(self) -> frozenset[Path]:
        """The fields that show that the resource exists: what `when` asks for, or something inside it."""
        return frozenset(hole.path for hole in self.holes if self.when.speaks_of(hole.path, self.all_loops))


def name_prefix(system: str, template: str) -> bytes:
    """What goes before an identity when it is hashed: identifiers differ between sites and between templates."""
    return f"{system}\n{template}\n".encode()


def resource_id(prefix: bytes, identity: str) -> str:
    digest = sha1(prefix + identity.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def inner_holes(part: Part) -> Iterator[Hole]:
    return (one for one in part.inner() if isinstance(one, Hole))

"""A stopped delivery told to a person: what happened, who must act, whether a retry is safe, and the server's own words."""

from dataclasses import dataclass

from fhir_bridge.errors import Fault


@dataclass(frozen=True, slots=True)
class Card:
    """`who` is `clinic|hospital|admin`; `retry_safe`: whether replaying it cannot make a second record."""

    title: str
    happened: str
    who: str
    do: str
    retry_safe: bool
    server_said: tuple[str, ...] = ()


def card(kind: str, faults: tuple[Fault, ...] = (), *, status: int = 0) -> Card:
    """The card of a `Dead` outcome (`Dead.kind`, `Dead.faults`, `Dead.status`); an unknown kind gives the general card."""
    raise NotImplementedError

"""What a pull or a reconciliation hands on: one resource as the hospital showed it."""

from fhir_bridge.hospital.seen import Seen, of_resource

__all__ = ["Seen", "of_resource"]

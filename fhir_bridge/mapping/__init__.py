"""The two-way template engine: documents in, documents out; it knows no resource and no record by name."""

from fhir_bridge.mapping.engine import Mapping, Read
from fhir_bridge.mapping.write import Written

__all__ = ["Mapping", "Read", "Written"]

"""Carries a headache-infusion clinic's records to a hospital's FHIR R4 server, and back."""

__version__ = "0.1.0"

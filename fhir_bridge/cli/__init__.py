"""The same use cases as the web doors, from a terminal. Nothing heavy is imported until a command runs."""

from fhir_bridge.cli.group import main

__all__ = ["main"]

"""The doors: the clinic's JSON API and what operations asks. Each parses, calls one use case, and renders."""

from fhir_bridge.web.app import create_app

__all__ = ["create_app"]

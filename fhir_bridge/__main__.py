"""`python -m fhir_bridge` is `fhir-bridge`."""

from fhir_bridge.cli import main

main()

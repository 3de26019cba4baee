"""The clinic's language: what a session and an appointment are, in plain JSON, without FHIR."""

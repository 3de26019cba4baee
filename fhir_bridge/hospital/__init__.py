"""One hospital's FHIR server: how we talk to it, what it can do, what we will send it, and what its answers mean."""

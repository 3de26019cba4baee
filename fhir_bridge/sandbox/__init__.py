"""A hospital in a box: a FHIR R4 server that behaves like HAPI, Epic, Oracle Health or athenahealth, and can be made to fail."""

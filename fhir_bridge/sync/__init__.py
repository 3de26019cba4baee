"""The use cases, one module each: accept, deliver, tell how it stands."""

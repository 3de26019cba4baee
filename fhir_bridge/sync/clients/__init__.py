"""Who may come in, beyond a key: assertions, public keys, scopes, signed requests, and the clients themselves."""

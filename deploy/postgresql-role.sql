-- What the bridge sets on each of its connections. Behind PgBouncer a session is not a connection: so the role has it too.
ALTER ROLE bridge SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE bridge SET lock_timeout = '30s';
ALTER ROLE bridge SET timezone = 'UTC';

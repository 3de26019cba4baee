"""What must not be lost: tables, outbox, links, audit and their migrations, the same on SQLite and PostgreSQL."""

"""Procrastinate's tables, on PostgreSQL: made and brought up to date by our own upgrade, in its transaction.

The library ships its migrations as SQL files in the order of their names. Which of them the tables hold is written into the
comment of its table of jobs, so that a newer version of the library needs no new revision of ours.
"""

from importlib.resources import files

from sqlalchemy import Connection, text

from fhir_bridge.errors import Fault, Refused

_MARK = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL, obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")


def upgrade(connection: Connection) -> None:
    """Brings them to the installed library's version; harmless when they are. Raises `Refused` for tables we did not make."""
    there, mark = connection.execute(_MARK).one()
    if there and mark not in _migrations():
        raise Refused(
            [Fault("database", "has Procrastinate's tables already, made by another program; give the bridge a database of its own")]
        )
    missing = [name for name in _migrations() if name > mark] if there else []
    for sql in [_sql("migrations", name) for name in missing] if there else [_sql("schema.sql")]:
        _run(connection, sql)
    if missing or not there:
        _run(connection, f"COMMENT ON TABLE procrastinate_jobs IS '{_migrations()[-1]}'")


def fault(connection: Connection) -> Fault | None:
    """What keeps them from being used by the installed library; None when nothing does."""
    mark = connection.execute(_MARK).one()[1]
    if mark == _migrations()[-1]:
        return None
    return Fault(
        "database", f"its tables of jobs are at {mark or 'none'}, this version needs {_migrations()[-1]}: run `fhir-bridge db upgrade`"
    )


def _migrations() -> list[str]:
    found = (files("procrastinate") / "sql" / "migrations").iterdir()
    return sorted(each.name for each in found if each.name.endswith(".sql"))


def _sql(*path: str) -> str:
    return files("procrastinate").joinpath("sql", *path).read_text(encoding="utf-8")


def _run(connection: Connection, sql: str) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection that is in use has one"  # noqa: S101
    driver.execute(sql)  # past SQLAlchemy: many statements at once, and no parameters

"""The two databases as pytest fixtures: a SQLite file, and a private PostgreSQL cluster started once per test process.

`store` runs a test on both. PostgreSQL refuses to run as root, so root becomes the user `postgres` that its package makes.
Neither waits for a disk: no test cuts the power, and a killed process loses nothing all the same.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from fhir_bridge.store.database import Store

MEMORY = Path("/dev/shm")  # noqa: S108 - no disk is under it, and pytest makes a folder of its own there
ROOM = 2_000_000_000  # bytes that must be free in it
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
}
EMPTY = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "SET session_replication_role = replica",  # no trigger and no foreign key stands in the way
    """DO $$ DECLARE name text; BEGIN
         FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
         LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
       END $$""",
)
MISSING = "PostgreSQL is not installed: apt-get install postgresql"
NO_POOL = "PgBouncer is not installed: apt-get install pgbouncer"
ROLE = Path(__file__).parents[1] / "deploy" / "postgresql-role.sql"
POOLED = 3  # server connections all clients share: fewer than they are


def pytest_configure() -> None:
    """Temporary folders lie in memory where there is room: SQLite syncs four times a commit, as it does for users."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[str]:
    """The address of a cluster of our own, without a database name: `postgresql://tester@127.0.0.1:PORT`."""
    if not _programs():
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="fhir-bridge-postgresql-"))
    try:
        with _cluster(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_database(postgresql_cluster: str) -> str:
    """A database with our tables, for one test after the other: making a new one takes half a second."""
    _administer(f"{postgresql_cluster}/postgres", "CREATE DATABASE bridge")
    store = Store(f"{postgresql_cluster}/bridge", allow_unsafe=True)
    store.upgrade()
    store.close()
    return f"{postgresql_cluster}/bridge"


@pytest.fixture
def postgresql_url(postgresql_database: str) -> Iterator[str]:
    """A PostgreSQL database with our tables, empty; whoever is still connected at the end of the test is cut off."""
    yield postgresql_database
    _administer(postgresql_database, *EMPTY)


@pytest.fixture(scope="session")
def pool(postgresql_cluster: str) -> Iterator[str]:
    """The address of a PgBouncer before the cluster, in transaction pooling, without a database name.

    Its few connections are those of a role that has what the deployments give to theirs.
    """
    if not _pooler():
        pytest.skip(NO_POOL)
    given = [line.replace("bridge", "pooled") for line in ROLE.read_text().splitlines() if not line.startswith("--")]
    _administer(f"{postgresql_cluster}/postgres", "CREATE ROLE pooled LOGIN SUPERUSER", *given)
    folder = Path(tempfile.mkdtemp(prefix="fhir-bridge-pgbouncer-"))
    try:
        with _pooling(folder, postgresql_cluster) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pooled_url(pool: str, postgresql_url: str) -> str:
    """The database of `postgresql_url`, through the pool."""
    return f"{pool}/{make_url(postgresql_url).database}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables, to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite file with our tables."""
    path = shutil.copyfile(sqlite_template, tmp_path / "bridge.db")
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with our tables: the test runs on SQLite, and again on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on a fresh database: the test runs on SQLite, and again on PostgreSQL."""
    store = Store(database_url, allow_unsafe=True)
    yield store
    store.close()


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    installed = found[-1] if found else shutil.which("initdb")
    return Path(installed).parent if installed else None


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    programs, data = _programs(), folder / "data"
    assert programs is not None
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    _run([programs / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"], folder)
    port = _free_port()
    options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
    options += f" -c port={port} -c unix_socket_directories={folder}"
    _run([programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", options, "start"], folder)
    try:
        yield f"postgresql://tester@127.0.0.1:{port}"
    finally:
        _run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], folder)


def _pooler() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def _pooling(folder: Path, cluster: str) -> Iterator[str]:
    program, server, port = _pooler(), make_url(cluster), _free_port()
    assert program is not None
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": POOLED,
        "max_client_conn": 200,
        "pidfile": folder / "pid",
        "logfile": folder / "log",
    }
    lines = ["[databases]", f"* = host={server.host} port={server.port} user=pooled", "[pgbouncer]"]
    (folder / "settings.ini").write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    _run([program, "--daemon", folder / "settings.ini"], folder)
    try:
        yield f"postgresql://clinic@127.0.0.1:{port}"
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)


def _run(command: Sequence[str | Path], folder: Path) -> None:
    owner = "postgres" if os.geteuid() == 0 else None
    # no pipe for the output: the server would inherit it and keep it open
    with (folder / "output").open("ab") as output:
        done = subprocess.run(command, cwd=folder, user=owner, group=owner, stdout=output, stderr=output, check=False)
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name} failed: {(folder / 'output').read_text()}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()

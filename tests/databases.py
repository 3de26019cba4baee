"""The two databases as pytest fixtures: a SQLite file, and a private PostgreSQL cluster started once per test process.

`store` runs a test on both. PostgreSQL refuses to run as root, so root becomes the user `postgres` that its package makes.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from fhir_bridge.store.database import Store

# Faster, and of no matter: what a test cluster loses in a power cut nobody misses. A killed client loses nothing all the same.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
}
MISSING = "PostgreSQL is not installed: apt-get install postgresql"


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
def postgresql_template(postgresql_cluster: str) -> str:
    """A database with our tables, to copy: far cheaper than migrating anew for each test."""
    _administer(postgresql_cluster, "CREATE DATABASE template_bridge")
    store = Store(f"{postgresql_cluster}/template_bridge", allow_unsafe=True)
    store.upgrade()
    store.close()
    return "template_bridge"


@pytest.fixture
def postgresql_url(postgresql_cluster: str, postgresql_template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh PostgreSQL database with our tables."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    _administer(postgresql_cluster, f"CREATE DATABASE {name} TEMPLATE {postgresql_template}")
    yield f"{postgresql_cluster}/{name}"
    _administer(postgresql_cluster, f"DROP DATABASE {name} WITH (FORCE)")


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


def _administer(cluster: str, statement: str) -> None:
    engine = create_engine(f"{cluster}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()

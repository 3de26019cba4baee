"""A bridge on a fresh SQLite database for the rows that need one, and sessions that nobody has posted before."""

import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from fhir_bridge import bootstrap, documents
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.accept import accept
from fhir_bridge.sync.bridge import Bridge

from .cases import MONITORED

CLINIC = Client("default", "clinic", "The clinic", "clinic", datetime(2026, 1, 1, tzinfo=UTC))
_NUMBERS = itertools.count(1)
_TEXT = MONITORED.read_text()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on the disk the repository is on: /tmp may be memory, and a commit that needs no disk is no commit."""
    build = Path(__file__).parents[2] / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as found:
        yield Path(found)


@contextmanager
def bridge(base_url: str) -> Iterator[Bridge]:
    """The application delivering to `base_url`, as `serve` and `worker` build it."""
    with folder() as place:
        settings = Settings(
            database_url=Secret(f"sqlite:///{place / 'bench.sqlite'}"),
            sites={"default": Site("default", hospitals=("general",))},
            hospitals={"general": Hospital("general", base_url)},
        )
        bootstrap.prepare(settings)
        made = bootstrap.staying(settings)
        yield made
        made.store.close()


def fresh() -> bytes:
    """The monitored visit of a new patient, as posted."""
    return re.sub(r'"([A-Z])-MCV', rf'"\1-{os.getpid()}-{next(_NUMBERS)}', _TEXT).encode()


def post(made: Bridge, body: bytes) -> None:
    """What the clinic's door does with `body`."""
    accept(made, client=CLINIC, kind="session", document=documents.loads(body), body_sha256=sha256(body).hexdigest())

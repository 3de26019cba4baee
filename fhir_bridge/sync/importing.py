"""Many sessions from a file of NDJSON, each through the same door as one that is posted, in the memory of one.

Where it stands is kept in a small file beside the input, written now and then. After a kill the lines since then are handed in
again, which changes nothing: what is stored already is recognised by its content. What was refused stands, with the reasons, in
a second file beside the input, which is cut back to the kept position before the import goes on.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Unavailable
from fhir_bridge.sync import lines
from fhir_bridge.sync.accept import accept
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.lines import Line

#: after so many lines the position is kept
KEPT_EVERY = 100
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Position:
    """How far an import came: the offset behind the last line, counts, the length of the file of refused lines, and of which file."""

    head: str
    offset: int = 0
    line: int = 0
    accepted: int = 0
    refused: int = 0
    refused_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """The input, and what stands beside it."""

    input: Path

    @property
    def refused(self) -> Path:
        return self.input.with_name(f"{self.input.stem}.refused.ndjson")

    @property
    def position(self) -> Path:
        return self.input.with_name(f"{self.input.name}.position")


def start_of(files: Files) -> Position:
    """Where the import of this very file was stopped; its beginning when it never was."""
    with files.input.open("rb") as file:
        head = sha256(file.read(_HEAD_BYTES)).hexdigest()
    try:
        kept = Position(**documents.loads(files.position.read_bytes()))
    except (OSError, Refused, TypeError):
        return Position(head)
    same = kept.head == head and kept.offset <= files.input.stat().st_size
    return kept if same else Position(head)


def run(bridge: Bridge, *, client: Client, files: Files, progress: Callable[[Position], None]) -> Position:
    """Hand in every line from where the import was stopped; returns the end. Raises the store's `Unavailable`: run it again later."""
    position = start_of(files)
    with files.input.open("rb") as file, _open_refused(files, position) as refused:
        file.seek(position.offset)
        try:
            for line in lines.read(file, number=position.line, end=position.offset):
                position = _one(bridge, client, position, line, refused)
                progress(position)
                if line.number % KEPT_EVERY == 0:
                    _keep(files, position, refused)
        finally:
            _keep(files, position, refused)
    files.position.unlink()
    if not position.refused:
        files.refused.unlink()
    return position


def _one(bridge: Bridge, client: Client, position: Position, line: Line, refused: BinaryIO) -> Position:
    done = replace(position, offset=line.end, line=line.number)
    try:
        document = line.document()
        accept(bridge, client=client, kind="session", document=document, body_sha256=sha256(line.text).hexdigest())
    except Unavailable:
        raise
    except BridgeError as error:
        faults = error.faults if isinstance(error, Refused) else (Fault("", str(error)),)
        written = refused.write(_told(line, faults))
        return replace(done, refused=done.refused + 1, refused_bytes=done.refused_bytes + written)
    return replace(done, accepted=done.accepted + 1)


def _told(line: Line, faults: tuple[Fault, ...]) -> bytes:
    said = [{"path": fault.path, "message": fault.message} for fault in faults]
    return documents.dumps({"line": line.number, "faults": said, "text": line.text.decode(errors="replace")}) + b"\n"


def _open_refused(files: Files, position: Position) -> BinaryIO:
    """The file of refused lines, readable by its owner alone, as long as it was at `position`."""
    descriptor = os.open(files.refused, os.O_RDWR | os.O_CREAT, mode=0o600)
    os.ftruncate(descriptor, position.refused_bytes)
    os.lseek(descriptor, 0, os.SEEK_END)
    return os.fdopen(descriptor, "wb")


def _keep(files: Files, position: Position, refused: BinaryIO) -> None:
    refused.flush()
    fresh = files.position.with_name(f"{files.position.name}.new")
    fresh.write_bytes(documents.dumps(asdict(position)))
    fresh.replace(files.position)

"""Real servers for tests: a HAPI FHIR JPA R4 server, built when its sources changed, started, and stopped by its own process.

`with hapi() as base_url` starts one; `shared_hapi(folder)` gives all processes of one test run the same one.
`FHIR_BRIDGE_HAPI=http://localhost:8090/fhir` names a running one (`make hapi`) to be used instead.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from fhir_bridge import documents

MODULE = Path(__file__).parent / "hapi"
TARGET = MODULE / "target"
# measured: the shortest start, and memory enough for a test (a server that fills it is busy collecting)
QUICK = ("-Xmx1500m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
START_SECONDS = 180
STOP_SECONDS = 10
NETWORK_TROUBLE = ("Could not transfer", "Could not resolve", "Unknown host", "Network is unreachable", "offline mode")


class Unavailable(Exception):
    """This machine cannot run the server; the text says what it lacks."""


@contextmanager
def hapi(*, options: Mapping[str, object] | None = None, java: Sequence[str] = QUICK) -> Iterator[str]:
    """Base address of a HAPI server of our own, empty at the start.

    `options` are those of Options.java: {"max-bundle": 50}; `java` are Java's own.
    """
    running = os.environ.get("FHIR_BRIDGE_HAPI")
    if running and not options:
        yield running.rstrip("/")
        return
    build()
    process, port = _start({"until-input-ends": "true", **(options or {})}, java)
    try:
        base_url = f"http://127.0.0.1:{port}/fhir"
        requests.get(f"{base_url}/metadata", timeout=60).raise_for_status()
        yield base_url
    finally:
        _stop(process)


@contextmanager
def shared_hapi(folder: Path) -> Iterator[str]:
    """The one HAPI server of a test run: who comes first starts it in `folder`, and stops it when the others have left."""
    address = folder / "hapi-address"
    with _locked(folder / "hapi-door", fcntl.LOCK_EX) as door:
        if address.exists():
            with _locked(folder / "hapi-guests", fcntl.LOCK_SH):
                fcntl.flock(door, fcntl.LOCK_UN)
                yield address.read_text()
            return
        with hapi() as base_url:
            address.write_text(base_url)
            fcntl.flock(door, fcntl.LOCK_UN)
            try:
                yield base_url
            finally:
                fcntl.flock(door, fcntl.LOCK_EX)  # nobody comes in any more
                with _locked(folder / "hapi-guests", fcntl.LOCK_EX):  # and everybody has left
                    address.unlink()


def build() -> None:
    """Makes target/hapi-server.jar and target/classpath.txt when they do not answer the sources."""
    for program in ("javac", "mvn"):
        if not shutil.which(program):
            raise Unavailable(f"HAPI needs JDK 17 and Maven, and there is no '{program}' (apt-get install default-jdk-headless maven)")
    with _locked(MODULE / "pom.xml", fcntl.LOCK_EX):
        stamp = TARGET / "built-from"
        if stamp.exists() and stamp.read_text() == _sources() and _class_path_is_there():
            return
        done = subprocess.run(["mvn", "-q", "-B", "package"], cwd=MODULE, capture_output=True, text=True, check=False)
        if done.returncode:
            said = f"Maven could not build tests/hapi:\n{(done.stdout + done.stderr)[-3000:]}"
            raise Unavailable(said) if any(word in said for word in NETWORK_TROUBLE) else RuntimeError(said)
        stamp.write_text(_sources())


def validate(base_url: str, resource: Mapping[str, Any], profile: str | None = None) -> list[str]:
    """What HAPI's own validator calls an error in `resource`: 'where: what', nothing when it is valid.

    Without `profile` (a canonical address) only base R4 is checked: HAPI does not apply the vital-signs profiles by itself.
    HAPI answers 200 with the errors in the body. Warnings are left out: that LOINC and SNOMED CT are not loaded, that an
    Observation should have a performer, that there is no narrative.
    """
    reply = requests.post(
        f"{base_url}/{resource['resourceType']}/$validate",
        data=documents.dumps(resource),
        params={"profile": profile} if profile else {},
        headers={"Content-Type": "application/fhir+json"},
        timeout=60,
    )
    errors = [issue for issue in reply.json()["issue"] if issue["severity"] in ("error", "fatal")]
    return [f"{', '.join(issue.get('location', ['?']))}: {issue['diagnostics']}" for issue in errors]


def command(options: Mapping[str, object], java: Sequence[str] = QUICK) -> list[str]:
    """The command line of the built server."""
    class_path = f"{TARGET / 'hapi-server.jar'}:{(TARGET / 'classpath.txt').read_text().strip()}"
    return ["java", *java, "-cp", class_path, "hapi.Server", *(f"--{name}={value}" for name, value in options.items())]


def _start(options: Mapping[str, object], java: Sequence[str]) -> tuple[subprocess.Popen[str], int]:
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command(options, java), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        too_late = threading.Timer(START_SECONDS, process.kill)
        too_late.start()
        try:
            return process, _port(process)
        except RuntimeError as error:
            _stop(process)
            errors.seek(0)
            raise RuntimeError(f"HAPI did not start within {START_SECONDS} s; it said:\n{errors.read()[-3000:]}") from error
        finally:
            too_late.cancel()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    for line in process.stdout:
        if line.startswith("READY port="):
            return int(line.split()[1].removeprefix("port="))
    raise RuntimeError("its output ended before READY")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def _sources() -> str:
    files = sorted(path for path in (MODULE / "pom.xml", *MODULE.glob("src/**/*")) if path.is_file())
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _class_path_is_there() -> bool:
    listed = TARGET / "classpath.txt"
    return (TARGET / "hapi-server.jar").exists() and listed.exists() and all(map(os.path.exists, listed.read_text().strip().split(":")))


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)

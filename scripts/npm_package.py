#!/usr/bin/env python3
"""Fetches one npm package by name, version and integrity, checks it, and unpacks it into `build/npm/<name>-<version>/`.

    python scripts/npm_package.py hl7.fhir.r4.examples 4.0.1 sha512-DXBd…

prints the folder. The npm client downloads (`npm pack` runs no scripts of the package); nothing is unpacked unless its bytes
have the given hash, written as in a package lock: `sha512-` or `sha256-` and base64. A folder that is already there and was
checked against the same hash is used again, so that the second call needs no network.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build" / "npm"
_MARK = ".integrity"


class NotFetched(Exception):
    """The package could not be had, or is not the one that was asked for."""


def fetch(name: str, version: str, integrity: str) -> Path:
    """The folder that holds the unpacked package (the content of the archive's `package/`)."""
    folder = BUILD / f"{name.removeprefix('@').replace('/', '-')}-{version}"
    mark = folder / _MARK
    if mark.is_file() and mark.read_text() == integrity:
        return folder
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as room:
        archive = _pack(name, version, Path(room))
        _check(archive, integrity)
        _unpack(archive, Path(room), folder)
        mark.write_text(integrity)
    return folder


def _pack(name: str, version: str, room: Path) -> Path:
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--ignore-scripts", "--pack-destination", str(room)]
    try:
        done = subprocess.run(command, cwd=room, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFetched(f"npm could not be run for {name}@{version} ({type(error).__name__}); install Node.js with npm") from error
    archives = list(room.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise NotFetched(f"npm pack {name}@{version} ended with {done.returncode}:\n{done.stderr.strip()}")
    return archives[0]


def _check(archive: Path, integrity: str) -> None:
    algorithm, _, expected = integrity.partition("-")
    if algorithm not in ("sha256", "sha512"):
        raise NotFetched("the integrity must begin with sha256- or sha512-")
    found = base64.b64encode(hashlib.new(algorithm, archive.read_bytes()).digest()).decode()
    if found != expected:
        raise NotFetched(f"{archive.name} has {algorithm}-{found}, expected {integrity}; it was not unpacked")


def _unpack(archive: Path, room: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(room / "content", filter="data")  # the filter refuses paths and links that lead out of it
    if folder.exists():
        os.rename(folder, room / "replaced")  # unpacked against another hash, or half
    os.rename(room / "content" / "package", folder)


def main() -> int:
    if len(sys.argv) != 4:
        print("usage: npm_package.py NAME VERSION INTEGRITY", file=sys.stderr)
        return 2
    try:
        print(fetch(*sys.argv[1:]))
    except NotFetched as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

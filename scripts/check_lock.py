"""Says whether the locks still answer pyproject.toml: each dependency is locked, at a version its floor allows, with hashes.

requirements-run.lock must be a part of requirements.lock. Works offline; `make lock` mends what it finds.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_LOCKED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[^ ;\\]+)(?P<rest>.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def faults(project: dict[str, Any], lock: str) -> Iterator[str]:
    """Each way the text of `lock` does not answer `project` (a parsed pyproject.toml), as a sentence."""
    locked = {canonicalize_name(found["name"]): found for found in _LOCKED.finditer(lock)}
    for requirement in _requirements(project):
        found = locked.get(canonicalize_name(requirement.name))
        if found is None:
            yield f"{requirement.name} is not locked"
        elif not requirement.specifier.contains(found["version"], prereleases=True):
            yield f"{requirement.name} is locked at {found['version']}, but {requirement.specifier} is asked for"
    yield from (f"{name} has no hash" for name, found in locked.items() if "--hash=sha256:" not in found["rest"])
    if "://" in lock:
        yield "it names an address; a lock names packages, versions and hashes only"


def _requirements(project: dict[str, Any]) -> Iterator[Requirement]:
    lists = [project["project"]["dependencies"], *project["project"].get("optional-dependencies", {}).values()]
    lists += project.get("dependency-groups", {}).values()
    yield from (Requirement(text) for texts in lists for text in texts)


def main() -> int:
    """Print every fault; 0 when there is none."""
    project = tomllib.loads(Path("pyproject.toml").read_text())
    whole, run = Path("requirements.lock").read_text(), Path("requirements-run.lock").read_text()
    found = [f"requirements.lock: {fault}" for fault in faults(project, whole)]
    found += [f"requirements-run.lock: {fault}" for fault in faults({"project": project["project"]}, run)]
    found += [f"requirements-run.lock: {name} is not as in requirements.lock" for name in sorted(set(_pins(run)) - set(_pins(whole)))]
    for fault in found:
        print(f"{fault}; run `make lock`", file=sys.stderr)
    return 1 if found else 0


def _pins(lock: str) -> list[str]:
    return [f"{found['name']} {found['version']}" for found in _LOCKED.finditer(lock)]


if __name__ == "__main__":
    sys.exit(main())

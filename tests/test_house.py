"""The rules of the house, checked: imports point one way, files and functions stay small, what skips is seen."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("fhir_bridge/**/*.py"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))
MAX_FILE_LINES = 350
MAX_TEST_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MEDIAN_FILE_LINES = 150
MEDIAN_FUNCTION_LINES = 10


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}: {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_imports_point_one_way():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("files", "limit"), [(SOURCES, MAX_FILE_LINES), (TESTS, MAX_TEST_FILE_LINES)], ids=["sources", "tests"])
def test_no_file_is_too_long_to_read(files: list[Path], limit: int):
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > limit} == {}


def test_no_function_is_too_long_to_read():
    read = [path for path in SOURCES + TESTS if "migrations" not in path.parts]  # a migration is a list, written once
    assert {name: length for path in read for name, length in _functions(path) if length > MAX_FUNCTION_LINES} == {}


def test_most_files_and_functions_are_short():
    assert statistics.median(len(path.read_text().splitlines()) for path in SOURCES) <= MEDIAN_FILE_LINES
    assert statistics.median(length for path in SOURCES for _, length in _functions(path)) <= MEDIAN_FUNCTION_LINES


def test_every_module_says_its_one_idea():
    silent = [
        str(path.relative_to(ROOT)) for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_the_lock_answers_the_declared_dependencies_and_tells_when_it_does_not():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from check_lock import faults
    finally:
        sys.path.pop(0)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    assert list(faults(project, lock)) == []
    project["project"]["dependencies"] += ["flask>=99", "never-heard-of"]
    assert [fault.split()[0] for fault in faults(project, lock + "bare==1\n# https://index.example\n")] == [
        "flask",
        "never-heard-of",
        "bare",
        "it",
    ]


def test_every_declared_dependency_is_used():
    unseen = {"fhir-core": "fhir.resources needs it newer than it says", "tzdata": "zones where the machine has none"}
    modules: dict[str, list[str]] = {}
    for module, names in packages_distributions().items():
        for name in names:
            modules.setdefault(canonicalize_name(name), []).append(module)
    text = "\n".join(path.read_text() for path in SOURCES)
    declared = [Requirement(line).name for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]
    used = [name for name in declared if any(re.search(rf"\b{module}\b", text) for module in modules.get(canonicalize_name(name), []))]
    assert set(declared) - set(used) == set(unseen)


@pytest.mark.parametrize(("ci", "outcome"), [("true", {"failed": 1, "passed": 1}), ("", {"skipped": 1, "passed": 1})])
def test_what_is_left_out_is_told_and_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    pytester.makeconftest((ROOT / "tests/nothing_left_out.py").read_text())
    pytester.makepyfile("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no hospital here')")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*no hospital here*"])

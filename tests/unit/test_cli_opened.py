"""Every command that needs the database works on a machine where nothing was done before, and says what is wrong where it cannot."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from fhir_bridge import bootstrap
from fhir_bridge.cli.group import command
from fhir_bridge.cli.referrals import ABOUT
from fhir_bridge.settings import Secret, Settings
from fhir_bridge.sync.referrals.inbox import DECISIONS

AT_ONE_SITE = (
    "conflicts list",
    "referrals list",
    "referrals orphans",
    "retry --all --reason said",
    "discard --all --reason said",
    "reconcile",
    "schedule history",
    "webhooks list",
    "sync",
    "sync --dry-run",
    "status --kept",
)
OF_ALL = ("clients list", "schedule list", "status", "webhooks send", "db archive --older-than 30")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that nobody made yet."""
    found = f"sqlite:///{tmp_path / 'bridge.sqlite'}"
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", found)
    return found


def run(words: str) -> Result:
    return CliRunner().invoke(command, words.split())


@pytest.mark.parametrize("words", (*AT_ONE_SITE, *OF_ALL))
def test_it_works_where_nothing_was_done_before(url: str, words: str) -> None:
    ended = run(words)
    assert (ended.exit_code, ended.stdout != "") == (0, True), ended.stderr


@pytest.mark.parametrize("words", AT_ONE_SITE)
def test_a_site_that_is_not_set_is_refused_with_those_that_are(url: str, words: str) -> None:
    ended = run(f"{words} --site nowhere")
    assert (ended.exit_code, ended.stderr) == (1, "--site: no site 'nowhere' is set; known: default\n")


@pytest.mark.parametrize("words", (*AT_ONE_SITE, *OF_ALL))
def test_tables_of_another_version_are_told_with_what_to_do(url: str, words: str) -> None:
    bootstrap.prepare(Settings(database_url=Secret(url)))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    engine.dispose()
    ended = run(words)
    assert ended.exit_code == 1
    assert "run `fhir-bridge db upgrade`" in ended.stderr


def test_every_decision_about_a_referral_is_a_command() -> None:
    assert ABOUT.keys() == DECISIONS.keys()

"""How far something is: one line that is written over on a terminal, a line now and then in a log; never on stdout."""

import sys

import pytest

from fhir_bridge.cli.progress import progress


def test_in_a_log_it_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("1 of 3")
        tell("2 of 3")
    assert capsys.readouterr() == ("", "1 of 3\n")


def test_on_a_terminal_it_is_one_line_that_is_gone_at_the_end(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress() as tell:
        tell("1 of 3")
    out, err = capsys.readouterr()
    assert out == ""
    assert "\n" not in err
    assert err.startswith("\r1 of 3")
    assert err.endswith("\r\x1b[K")

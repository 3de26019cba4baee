"""Fault points: nothing without the environment's word, exactly the named passage with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PASSES = """
from fhir_bridge.faults import fault_point
for number in range(3):
    fault_point("a")
    fault_point("b")
    print(number, flush=True)
"""


def run(**armed: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_FAULT")}
    return subprocess.run([sys.executable, "-c", PASSES], env={**clean, **armed}, capture_output=True, text=True, check=False)


def test_unarmed_points_do_nothing() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n")


def test_a_kill_comes_at_its_hit() -> None:
    done = run(FHIR_BRIDGE_FAULT="b:kill:2")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "0\n")


def test_a_failure_is_raised_at_its_hit() -> None:
    done = run(FHIR_BRIDGE_FAULT="a:raise:3")
    assert (done.returncode, done.stdout) == (1, "0\n1\n")
    assert "rehearsed failure at a" in done.stderr


def test_a_delay_delays_once() -> None:
    begun = time.monotonic()
    assert run(FHIR_BRIDGE_FAULT="a:delay=0.3:1").returncode == 0
    assert time.monotonic() - begun > 0.3


def test_a_stopped_process_goes_on_when_it_is_told_to() -> None:
    armed = {**os.environ, "FHIR_BRIDGE_FAULT": "a:stop:2"}
    with subprocess.Popen([sys.executable, "-c", PASSES], env=armed, stdout=subprocess.PIPE, text=True) as stopped:
        _, status = os.waitpid(stopped.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(stopped.pid, signal.SIGCONT)
        assert stopped.communicate()[0] == "0\n1\n2\n"


def test_the_log_names_each_point_reached(tmp_path: Path) -> None:
    log = tmp_path / "reached"
    run(FHIR_BRIDGE_FAULT_LOG=str(log), FHIR_BRIDGE_FAULT="b:kill:1")
    run(FHIR_BRIDGE_FAULT_LOG=str(log))
    assert log.read_text().split() == ["a", "b", "a", "b"]


@pytest.mark.parametrize("nonsense", ["a", "a:kill", "a:explode:1", "a:kill:x", ":kill:1", "a:delay=:1", "a:kill:1:2", "a:delay=soon:1"])
def test_a_setting_that_would_test_nothing_is_refused(nonsense: str) -> None:
    done = run(FHIR_BRIDGE_FAULT=nonsense)
    assert done.returncode == 1
    assert "say name:action:hit" in done.stderr

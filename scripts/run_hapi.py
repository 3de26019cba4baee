"""Runs the real HAPI FHIR server of tests/hapi for a person, or for one command. See scripts/hapi."""

import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from servers import Unavailable, hapi

PORT = 8090


def main(words: list[str]) -> int:
    print("Starting HAPI FHIR; the first time Maven fetches about 330 MB …", file=sys.stderr, flush=True)
    try:
        with hapi(options={} if words else {"port": PORT}) as base_url:
            return run(words, base_url) if words else wait(base_url)
    except Unavailable as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


def run(words: list[str], base_url: str) -> int:
    return subprocess.run([word.replace("{}", base_url) for word in words], check=False).returncode


def wait(base_url: str) -> int:
    print(f"HAPI FHIR answers at {base_url} (its CapabilityStatement: {base_url}/metadata).", flush=True)
    print("It forgets everything when it ends. Ctrl-C ends it.", flush=True)
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

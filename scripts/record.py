"""Records what a real HAPI server answers to our client's calls into fixtures/hapi, for unit tests to replay.

The calls are in tests/hapi_calls.py; tests/contract/test_recordings.py says when a recording no longer holds.
"""

import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import recordings
from servers import Unavailable, hapi


def main() -> int:
    try:
        with hapi() as base_url:
            found = recordings.record(base_url, uuid.uuid4())
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    recordings.save(found)
    print(f"{len(found)} replies of HAPI are in {recordings.FOLDER.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

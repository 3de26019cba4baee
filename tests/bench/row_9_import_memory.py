"""What importing many sessions needs of memory: as much as importing 1 000.

100 000 sessions take a while: `BENCH_SESSIONS=100000 make bench` imports that many, without it 10 000.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fhir_bridge import documents

from .cases import with_readings
from .measure import Row

FEW, MANY = 1_000, int(os.environ.get("BENCH_SESSIONS", "10000"))
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one, the disk's speed plays no part
PEAK = """
import resource, sys
from fhir_bridge.cli.group import command
command(["sessions", "import", sys.argv[1], "--json"], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _ratio() -> float:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        return _peak(Path(folder), MANY) / _peak(Path(folder), FEW)


def _peak(folder: Path, count: int) -> int:
    """The most memory, in the system's unit, of a process that imports `count` sessions into an empty database."""
    file, session = folder / f"{count}.ndjson", with_readings(1)
    with file.open("wb") as lines:
        lines.writelines(documents.dumps(session | {"id": f"S-{number}"}) + b"\n" for number in range(count))
    database = {"FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{folder / f'{count}.sqlite'}"}
    run = [sys.executable, "-c", PEAK, str(file)]
    done = subprocess.run(run, env=os.environ | database, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return int(done.stdout.split()[-1])


ROW = Row(f"memory of importing {MANY} sessions ÷ {FEW}", 1.2, "lower", _ratio)

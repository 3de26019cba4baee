"""`make bench`: every `row_*.py` beside this file is one ratio with its bar; all are printed and written to build/bench.json.

Exit code 1 when a bar is missed. Names given as arguments choose rows: `python -m tests.bench map`.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from .measure import NotMeasured, Row

HERE = Path(__file__).parent
REPORT = HERE.parents[1] / "build" / "bench.json"


def rows(chosen: list[str]) -> list[Row]:
    """The rows whose file name holds one of the words in `chosen`; all without any."""
    names = sorted(path.stem for path in HERE.glob("row_*.py"))
    return [import_module(f".{name}", __package__).ROW for name in names if not chosen or any(word in name for word in chosen)]


def main(chosen: list[str]) -> int:
    found, missed = [], 0
    for row in rows(chosen):
        try:
            ratio = row.ratio()
        except NotMeasured as reason:
            print(f"not measured: {row.name}: {reason}", flush=True)
            continue
        missed += not row.holds(ratio)
        print(row.said(ratio), flush=True)
        found.append({"name": row.name, "ratio": round(ratio, 4), "bar": row.bar, "better": row.better})
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""One more record with a million delivered ones in the tables, on PostgreSQL."""

import shutil
import sys
import tempfile
from pathlib import Path

from fhir_bridge.store.database import Store

from .measure import Row
from .million import fill_postgresql, ratio_of


def _ratio() -> float:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from databases import _administer, _cluster

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with _cluster(folder) as address:
            stores = []
            for name in ("bench_full", "bench_empty"):
                _administer(f"{address}/postgres", f"CREATE DATABASE {name}")
                store = Store(f"{address}/{name}", allow_unsafe=True)
                store.upgrade()
                stores.append(store)
            fill_postgresql(f"{address}/bench_full")
            _administer(f"{address}/bench_full", "VACUUM ANALYZE", "CHECKPOINT")
            found = ratio_of(*stores)
            for store in stores:
                store.close()
            return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


ROW = Row("accept and lease with 1 000 000 delivered rows ÷ with none, PostgreSQL", 1.2, "lower", _ratio)

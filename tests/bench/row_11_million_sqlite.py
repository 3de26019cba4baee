"""One more record with a million delivered ones in the tables, on SQLite."""

from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_bridge.store.database import Store

from .measure import Row
from .million import fill_sqlite, ratio_of


def _ratio() -> float:
    with TemporaryDirectory(prefix="bench-") as folder:
        stores = []
        for name in ("full", "empty"):
            store = Store(f"sqlite:///{Path(folder, name)}")
            store.upgrade()
            stores.append(store)
        fill_sqlite(str(Path(folder, "full")))
        found = ratio_of(*stores)
        for store in stores:
            store.close()
        return found


ROW = Row("accept and lease with 1 000 000 delivered rows ÷ with none, SQLite", 1.2, "lower", _ratio)

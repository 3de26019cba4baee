"""One more record with a million delivered ones in the tables, on SQLite."""

from fhir_bridge.store.database import Store

from .bridges import folder
from .measure import Row
from .million import fill_sqlite, ratio_of


def _ratio() -> float:
    with folder() as place:
        stores = []
        for name in ("full", "empty"):
            store = Store(f"sqlite:///{place / name}")
            store.upgrade()
            stores.append(store)
        fill_sqlite(str(place / "full"))
        found = ratio_of(*stores)
        for store in stores:
            store.close()
        return found


ROW = Row("accept and lease with 1 000 000 delivered rows ÷ with none, SQLite", 1.2, "lower", _ratio)

"""A session becomes a transaction Bundle, as bytes."""

from fhir_bridge import documents

from .cases import session
from .engine import engine, engine_bundle
from .handwritten import writing
from .measure import Row, ratio


def _ratio() -> float:
    mapping, record = engine(), session()
    return ratio(lambda: documents.dumps(engine_bundle(mapping, record)), lambda: documents.dumps(writing.bundle(record)))


ROW = Row("map a session to a Bundle, as bytes ÷ hand-written", 1.2, "lower", _ratio)

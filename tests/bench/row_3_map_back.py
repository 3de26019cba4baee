"""The Bundle's bytes become the session again; what is not ours would be refused."""

from fhir_bridge import documents
from fhir_bridge.fhir import bundle

from .cases import session
from .engine import engine, engine_bundle
from .handwritten import reading
from .measure import Row, ratio


def _ratio() -> float:
    mapping, text = engine(), documents.dumps(engine_bundle(engine(), session()))
    return ratio(
        lambda: mapping.from_fhir(bundle.resources(documents.loads(text))).record,
        lambda: reading.record(bundle.resources(documents.loads(text))),
    )


ROW = Row("map a Bundle's bytes back to the session ÷ hand-written", 2.0, "lower", _ratio)

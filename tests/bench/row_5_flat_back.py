"""What a reading costs when it is mapped back: among 10 000 no more than among 10, next to hand-written code as in row 4."""

from .cases import with_readings
from .engine import engine
from .handwritten import reading
from .measure import Row, ratio


def _ratio() -> float:
    mapping = engine()
    many, few = (mapping.to_fhir(with_readings(count)).resources for count in (10_000, 10))
    at_many = ratio(lambda: mapping.from_fhir(many), lambda: reading.record(many), rounds=15)
    return at_many / ratio(lambda: mapping.from_fhir(few), lambda: reading.record(few))


ROW = Row("cost of a reading among 10 000 ÷ among 10, mapped back, next to hand-written", 1.2, "lower", _ratio)

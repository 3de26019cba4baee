"""What a reading costs when it is mapped back: as much among 10 000 as among 10."""

from .cases import with_readings
from .engine import engine
from .measure import Row, ratio


def _ratio() -> float:
    mapping = engine()
    many, few = (mapping.to_fhir(with_readings(count)).resources for count in (10_000, 10))
    return ratio(lambda: mapping.from_fhir(many), lambda: mapping.from_fhir(few), rounds=15, units=(10_000, 10))


ROW = Row("cost of a reading, 10 000 ÷ 10, mapped back", 1.3, "lower", _ratio)

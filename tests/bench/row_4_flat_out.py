"""What a reading costs when it is mapped: as much among 10 000 as among 10."""

from .cases import with_readings
from .engine import engine
from .measure import Row, ratio


def _ratio() -> float:
    many, few, mapping = with_readings(10_000), with_readings(10), engine()
    return ratio(lambda: mapping.to_fhir(many), lambda: mapping.to_fhir(few), rounds=15, units=(10_000, 10))


ROW = Row("cost of a reading, 10 000 ÷ 10, mapped", 1.3, "lower", _ratio)

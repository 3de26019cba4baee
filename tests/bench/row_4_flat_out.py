"""What a reading costs when it is mapped: among 10 000 no more than among 10, once what the machine's memory does is taken out.

Fifty thousand live resources do not fit into a processor's cache, so every program that makes them pays more for each. The
hand-written code pays that too; how much more the engine pays at 10 000 than at 10, next to it, is what could grow with the list.
"""

from .cases import with_readings
from .engine import engine
from .handwritten import writing
from .measure import Row, ratio


def _ratio() -> float:
    mapping = engine()
    many, few = with_readings(10_000), with_readings(10)
    at_many = ratio(lambda: mapping.to_fhir(many), lambda: writing.resources(many), rounds=15)
    return at_many / ratio(lambda: mapping.to_fhir(few), lambda: writing.resources(few))


ROW = Row("cost of a reading among 10 000 ÷ among 10, mapped, next to hand-written", 1.2, "lower", _ratio)

"""Delivering to a HAPI on our own processors, over a bare loop: what the bridge's own work takes from a server that has no others."""

from functools import partial

from .measure import Row
from .row_10_deliver import ratio

ROW = Row("deliver to HAPI on the same processors: rate ÷ a bare loop's", None, "higher", partial(ratio, apart=False))

"""Delivering to a real HAPI, over a bare loop that does not ask what was stored: what it costs, all in all, to know what was kept."""

from functools import partial

from .measure import Row
from .row_10_deliver import ratio

ROW = Row("deliver to HAPI: rate ÷ a bare loop's that does not ask what was kept", None, "higher", partial(ratio, asking=False))

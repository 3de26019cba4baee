"""Taking referrals in over HTTP, two web processes, each answered on durable storage; the rate, over that of a bare route."""

import itertools
import os
import re

from .cases import ROOT
from .doors import ratio
from .measure import Row

_TEXT = (ROOT / "fixtures/cases/referred-biologic/inbound/transaction.json").read_text()
_NUMBERS = itertools.count(1)


def fresh() -> bytes:
    """The transaction with a new order for a new patient."""
    number = f"{os.getpid()}-{next(_NUMBERS)}"
    return re.sub(r"(ORD-SYN-|SYN-100)\d*|(Synthetic-Rowan)", rf"\g<1>\g<2>{number}", _TEXT).encode()


def _ratio() -> float:
    return ratio("/fhir", "/referrals", fresh, kind="hospital", stored=200)


ROW = Row("take in a referral, durable: rate ÷ a bare route's", 0.7, "higher", _ratio)

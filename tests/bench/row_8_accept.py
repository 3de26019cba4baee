"""Accepting sessions over HTTP, two web processes, each 202 on durable storage; the rate, over that of a bare route."""

from .bridges import fresh
from .doors import ratio
from .measure import Row

ROW = Row("accept a session, durable: rate ÷ a bare route's", 0.7, "higher", lambda: ratio("/api/v1/sessions", "/sessions", fresh))

"""The least a door can do that keeps its word: the same schema, one durable insert, an answer. `gunicorn tests.bench.bare:app`"""

import os
import sqlite3
import threading
from uuid import uuid4

from flask import Flask, Response, request

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.fhir import check

PRAGMAS = ("journal_mode = delete", "synchronous = 3", "busy_timeout = 30000")  # as the bridge's own store: a commit survives a power cut
app = Flask(__name__, static_folder=None)
_own = threading.local()


@app.post("/sessions")
def post_session() -> Response:
    record = records.load("session", documents.loads(request.get_data()), zone=None)
    _insert(record["id"], documents.canonical(record))
    return Response(documents.dumps({"id": record["id"]}), status=202, content_type="application/json")


@app.post("/referrals")
def post_referral() -> Response:
    bundle = documents.loads(request.get_data())
    if check.faults(bundle):
        return Response(status=400)
    key = uuid4().hex
    _insert(key, documents.canonical(bundle))
    entries = [{"response": {"status": "201 Created", "location": f"{one['resource']['resourceType']}/{key}"}} for one in bundle["entry"]]
    answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
    return Response(documents.dumps(answer), content_type="application/fhir+json")


def _insert(key: str, document: bytes) -> None:
    connection = _connection()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO stored VALUES (?, ?)", (key, document))
    connection.execute("COMMIT")


def _connection() -> sqlite3.Connection:
    if not hasattr(_own, "connection"):
        _own.connection = sqlite3.connect(os.environ["BENCH_DATABASE"], isolation_level=None)
        for pragma in PRAGMAS:
            _own.connection.execute(f"PRAGMA {pragma}")
        _own.connection.execute("CREATE TABLE IF NOT EXISTS stored (id TEXT PRIMARY KEY, document BLOB)")
    found: sqlite3.Connection = _own.connection
    return found

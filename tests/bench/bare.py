"""The least a door can do that keeps its word: the same schema, one durable insert, an answer. `gunicorn tests.bench.bare:app`"""

import os
import sqlite3
import threading

from flask import Flask, Response, request

from fhir_bridge import documents
from fhir_bridge.clinic import records

PRAGMAS = ("journal_mode = delete", "synchronous = 3", "busy_timeout = 30000")  # as the bridge's own store: a commit survives a power cut
app = Flask(__name__, static_folder=None)
_own = threading.local()


@app.post("/sessions")
def post_session() -> Response:
    record = records.load("session", documents.loads(request.get_data()), zone=None)
    connection = _connection()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO sessions VALUES (?, ?)", (record["id"], documents.canonical(record)))
    connection.execute("COMMIT")
    return Response(documents.dumps({"id": record["id"]}), status=202, content_type="application/json")


def _connection() -> sqlite3.Connection:
    if not hasattr(_own, "connection"):
        _own.connection = sqlite3.connect(os.environ["BENCH_DATABASE"], isolation_level=None)
        for pragma in PRAGMAS:
            _own.connection.execute(f"PRAGMA {pragma}")
        _own.connection.execute("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, document BLOB)")
    found: sqlite3.Connection = _own.connection
    return found

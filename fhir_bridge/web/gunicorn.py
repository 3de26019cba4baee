"""How gunicorn serves the bridge: threads, a long goodbye, no control socket, no log of addresses.

Used by `fhir-bridge serve`, or by `gunicorn -c python:fhir_bridge.web.gunicorn "fhir_bridge.web.app:from_environ()"`.
"""

from fhir_bridge.settings import Settings

_settings = Settings.from_environ()

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_workers
worker_class = "gthread"
threads = 4
preload_app = True  # code and code tables are shared by the workers
graceful_timeout = 75  # longer than the longest request; give the supervisor 90
timeout = 75
max_requests = 0  # a worker that ends by count can cut a connection off; ours do not leak
control_socket_disable = True  # there is none in a read-only container
accesslog = None  # gunicorn's would write query strings; ours is web/requests_log.py

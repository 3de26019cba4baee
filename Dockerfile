# Two stages: the first builds the wheel and a virtual environment from the lock, the second holds nothing else.
# Every command here is also run by tests/test_image.py.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock requirements-run.lock ./
RUN python -m venv /tools && /tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
RUN python -m venv /opt/bridge && /opt/bridge/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-run.lock
COPY . .
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .
RUN /opt/bridge/bin/pip install --no-deps --no-index /wheels/fhir_bridge-*.whl

FROM python:3.13-slim
COPY --from=build /opt/bridge /opt/bridge
RUN install --directory --owner=10001 --group=10001 /var/lib/fhir-bridge
ENV PATH=/opt/bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FHIR_BRIDGE_HOST=0.0.0.0 \
    FHIR_BRIDGE_PORT=8080 \
    FHIR_BRIDGE_DATABASE_URL=sqlite:////var/lib/fhir-bridge/bridge.sqlite
USER 10001:10001
WORKDIR /var/lib/fhir-bridge
VOLUME /var/lib/fhir-bridge
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['FHIR_BRIDGE_PORT'] + '/healthz', timeout=3)"]
ENTRYPOINT ["fhir-bridge"]
CMD ["serve"]

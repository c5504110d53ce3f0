# Two stages: one makes the wheel, the other holds it, what it needs, and nothing else.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python -m pip install --require-hashes --no-deps --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY service service
RUN python -m pip wheel --no-index --no-build-isolation --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE}
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
COPY requirements/service.txt /tmp/requirements/
RUN python -m pip install --require-hashes --no-deps --requirement /tmp/requirements/service.txt
COPY --from=build /wheels /tmp/wheels
RUN python -m pip install --no-index --no-deps /tmp/wheels/*.whl && rm -r /tmp/wheels /tmp/requirements

# The data directory has to belong to the user before it becomes a volume, or the volume is root's.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin quash \
    && install --directory --owner quash --group quash --mode 0700 /data
USER 10001:10001
ENV QUASH_HOST=0.0.0.0 QUASH_PORT=8400 QUASH_DATA_DIR=/data
VOLUME ["/data"]
EXPOSE 8400

# Liveness only: a state that is away is answered 503 by /readyz, and restarting us would not bring it back.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request; tls = os.environ.get('QUASH_TLS_CERT'); urllib.request.urlopen(('https' if tls else 'http') + '://127.0.0.1:' + os.environ['QUASH_PORT'] + '/healthz', timeout=2, context=ssl._create_unverified_context() if tls else None)"]

STOPSIGNAL SIGTERM
CMD ["quash", "serve"]
